//! 死锁。

use crate::experiments::deadlock::{Fact, Way};
use crate::experiments::name;
use crate::texts::{Cycle, LessonTexts};
use crate::verdict::{Words, time};

pub(super) const DEADLOCK: LessonTexts<Way, Fact> = LessonTexts {
    question: "两把锁，十个线程：谁在等谁，怎样脱身？",
    about: |way| {
        match way {
            Way::Crosswise => "func1 先拿 mutexA 再拿 mutexB，func2 反过来",
            Way::Ordered => "都先拿 mutexA，再拿 mutexB",
            Way::BackOff => "func2 只试一试 mutexA，拿不到就把 mutexB 也放掉",
        }
        .to_owned()
    },
    claim: |fact| {
        let &Fact { way, all, done, deadlocks, cycle, stuck, moved, standstill_ns, backed_off } = fact;
        let observed = format!("死锁 {deadlocks} 次，{all} 个里 {done} 个干完了（{}）", name(way));
        match way {
            Way::Crosswise => Words::new(
                format!("两把锁交叉着拿，{all} 个线程全卡住，得靠实验程序把它们拉出来"),
                format!("{observed}，{stuck} 个都在等，其中 {cycle} 个绕成一个环，锁换手 {moved} 次"),
                format!(
                    "环里个个都是持有并等待：等着下一个手里的锁，自己的又不肯先放，等多久都没用，{} 里没有一把锁换过手。\
                     取消其中一个等待，环就断了，可是那个线程的活白干了，病也没治好：环前后合上了 {deadlocks} 次。",
                    time(standstill_ns),
                ),
            ),
            Way::Ordered => Words::new(
                "大家按同一个顺序拿锁，就没有死锁",
                observed,
                "都先拿 mutexA，那么拿着 mutexB 的线程就不会再去等 mutexA，环合不上。",
            ),
            Way::BackOff => Words::new(
                "试一试、拿不到就退，也没有死锁，只是有的活要重做",
                format!("{observed}，退了 {backed_off} 次"),
                "眼看要合上环的那个，把手里的锁放掉，让别人先过，再从头来。",
            ),
        }
    },
};

pub(super) const CIRCLE: Cycle = Cycle {
    title: "卡住的时候，谁在等谁",
    graph: "等待图",
    holder: |thread, locks| format!("{thread}，手里拿着 {}", locks.join(" 和 ")),
    waits_for: "在等",
    held_by: "拿着它的是",
    behind: |lock| format!("排在后面、两手空空等 {lock} 的线程："),
    comma: "、",
    more: |more| format!("还有 {more} 个"),
};
