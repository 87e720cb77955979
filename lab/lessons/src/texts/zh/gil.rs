//! 解释器锁。

use crate::experiments::gil::{Fact, Way, Who, Why};
use crate::experiments::name;
use crate::texts::{GilTable, LessonTexts};
use crate::verdict::{Words, time};

pub(super) const GIL: LessonTexts<Way, Fact> = LessonTexts {
    question: "解释器锁之下，线程什么时候有用，什么时候没用？",
    about: |way| {
        let verb = if way.computes() { "计算" } else { "等待" };
        let about = match way.who() {
            Who::One => "一个线程，一份接一份全干完".to_owned(),
            Who::Gil => format!("几个线程守着一把锁{verb}，有人要就让，等的时候也让"),
            who => format!("{}，各自{verb}", self::who(who)),
        };
        format!("{about}{}", if way.is_on_one() { "，只用一个核" } else { "" })
    },
    claim: |fact| match *fact {
        Fact::OneAtATime { most, turns, interval } => Words::new(
            "有了这把锁，一次只有一个在算",
            format!("同时最多 {most} 个，换手 {turns} 次"),
            format!("锁在手里才能算，过了 {interval:?} 就有人来要。"),
        ),
        Fact::Python { at_once } => Words::new(
            "Python 也一样，一次只有一个线程在算",
            format!("平均同时 {at_once} 个"),
            "按线程自己的时钟看，别人拿着锁的时候，它一步也没走。",
        ),
        Fact::OnOne { way, at_once, ready_ns } => Words::new(
            format!("{}：一次只有一个在算，别的都处于就绪态", name(way)),
            match ready_ns {
                Some(ready_ns) => format!("平均同时 {at_once} 个，就绪态加起来 {}", time(ready_ns)),
                None => "就绪态有多久，这里看不出".to_owned(),
            },
            "一个核一次只能跑一个，别的什么都不缺，只缺一个核。",
        ),
        Fact::Faster { fast, slow, fast_ns, slow_ns, why } => Words::new(
            format!("{} 比 {} 快", name(fast), name(slow)),
            format!("{} 对 {}", time(fast_ns), time(slow_ns)),
            match why {
                Why::WaitTogether => "线程要等，就把锁让出来，所以可以一起等。",
                Why::CreatedFaster => "等的时间一样长，只是线程创建得快。",
                Why::InPythonToo => "Python 也一样。",
                Why::OnOneToo => "只有一个核也一样。",
                Why::OneUsed => "核再多，这把锁也只让用一个。",
                Why::AllUsed => "没有这把锁，线程把核全用上了。",
                Why::OneLockEach => "Python 的线程共用一把锁，进程一个进程一把。",
                Why::NoLock => "没有了锁，Python 的线程也把核全用上了。",
            },
        ),
        Fact::NotFaster { processes, threads, processes_ns, threads_ns } => Words::new(
            format!("{} 不比 {} 快多少", name(processes), name(threads)),
            format!("{} 对 {}", time(processes_ns), time(threads_ns)),
            "核只有一个，多开几个解释器也没有好处。",
        ),
    },
};

fn who(who: Who) -> &'static str {
    match who {
        Who::One => "一个线程",
        Who::Gil => "带 GIL 的线程",
        Who::Threads => "线程",
        Who::Processes => "进程",
        Who::PythonThreads => "Python 的线程",
        Who::PythonProcesses => "Python 的进程",
        Who::FreePython => "无 GIL 的 Python 线程",
    }
}

pub(super) const GIL_TABLE: GilTable = GilTable {
    title: "全部干完用了多久",
    who,
    computing: "计算",
    waiting: "等待",
    on_one: "一个核",
    on_all: "所有的核",
    not_found: "没找到",
    faster: "谁快",
    faster_python: "Python 里谁快",
    equal: "一样",
    processes: "进程",
    threads: "线程",
};
