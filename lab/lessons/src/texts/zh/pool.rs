//! 进程池与线程池。

use crate::experiments::name;
use crate::experiments::pool::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::Words;

pub(super) const POOL: LessonTexts<Way, Fact> = LessonTexts {
    question: "五个工作线程，二十个任务：结果按什么顺序回来，一个出了错又怎样？",
    about: |way| {
        match way {
            Way::Threads => "线程池",
            Way::Uncaught => "线程池；一个任务 panic，没有人接住",
            Way::Panic => "线程池；一个任务 panic，工作线程自己接住",
            Way::Processes => "进程池",
            Way::Kill => "进程池；一个进程干到一半被杀",
        }
        .to_owned()
    },
    claim: |fact| match *fact {
        Fact::All { way, tasks, called, overtaken } => Words::new(
            format!("{tasks} 个任务都有回调，顺序不是提交的顺序（{}）", name(way)),
            format!("回调 {called} 次，其中 {overtaken} 个赶在了更早提交的前面"),
            "谁先做完先回调谁，而第二个任务比第一个短。",
        ),
        Fact::Uncaught { tasks, called, failed } => Words::new(
            format!("panic 没有人接住，{tasks} 个任务只回调 {} 个", tasks - 1),
            format!("回调 {called} 次，报告失败 {failed} 次"),
            "工作线程连同它的任务一起没了，也没有人去告诉调用者。",
        ),
        Fact::Failed { way, task, called, failed } => Words::new(
            format!("只有任务 {task} 失败，别的都好（{}）", name(way)),
            format!("{called} 个里失败 {failed} 个"),
            if way == Way::Kill {
                "调用者看见管道断了，就把它手里的任务记成失败，再开一个进程。"
            } else {
                "panic 在调用任务的地方就接住了，工作线程没事，接着取下一个任务。"
            },
        ),
        Fact::AtOnce { workers, most } => Words::new(
            format!("同时在做的任务从不超过 {workers} 个"),
            format!("最多 {most} 个"),
            "干活的数目是固定的，没有人空出来，任务就在队列里等。",
        ),
    },
};
