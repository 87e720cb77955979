//! 创建的代价。

use crate::experiments::name;
use crate::experiments::spawn::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const SPAWN: LessonTexts<Way, Fact> = LessonTexts {
    question: "创建一百个进程、线程、任务，各要多少代价？",
    about: |way| {
        match way {
            Way::Processes => "全部创建，再全部 join；每个都是一个独立的程序",
            Way::Threads => "全部创建，再全部 join",
            Way::Tasks => "全部创建，然后就在这个线程上轮着推进",
            Way::OneByOne => "创建一个线程，join 完，再创建下一个",
        }
        .to_owned()
    },
    claim: |fact| match *fact {
        Fact::Created { way, count, pids, threads, most, length_ns, delay } => {
            let observed = format!("进程号 {pids} 个，线程 {threads} 个（{}）", name(way));
            match way {
                Way::Processes => Words::new(
                    format!("{count} 个进程，就有 {count} 个进程号"),
                    observed,
                    "一个进程是一个程序，内存是它自己的一份，得由内核现造。",
                ),
                Way::Threads => Words::new(
                    format!("{count} 个线程，进程号只有一个"),
                    observed,
                    "一个线程只是现成内存里的一个栈和一组寄存器。",
                ),
                Way::Tasks => Words::new(
                    format!("{count} 个任务，用的还是推进它们的那一个线程"),
                    observed,
                    "一个任务只是队列里的一个值，内核根本不知道有它。",
                ),
                Way::OneByOne => Words::new(
                    "join 完一个才创建下一个，就成了一个接一个",
                    format!("同时最多 {most} 个，用了 {}", time(length_ns)),
                    format!("每次 join 都要等它睡完 {delay:?}，下一个才能开始。"),
                ),
            }
        }
        Fact::Cheaper { cheap, dear, cheap_ns, dear_ns } => {
            let noun = |way| match way {
                Way::Processes => "进程",
                Way::Threads | Way::OneByOne => "线程",
                Way::Tasks => "任务",
            };
            let (cheap, dear) = (noun(cheap), noun(dear));
            Words::new(
                format!("创建{cheap}比创建{dear}快"),
                format!("{cheap} {}，{dear} {}", time(cheap_ns), time(dear_ns)),
                format!("创建{dear}花的时间是创建{cheap}的 {} 倍。", dear_ns / cheap_ns.max(1)),
            )
        }
    },
};
