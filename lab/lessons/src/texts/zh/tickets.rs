//! 抢票。

use crate::experiments::name;
use crate::experiments::tickets::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const TICKETS: LessonTexts<Way, Fact> = LessonTexts {
    question: "十个进程抢文件里的一张票：会卖出去几次？",
    about: |way| {
        match way {
            Way::NoLock => "查票、买票都不加锁",
            Way::Lock => "先查票，买票时加锁",
            Way::LockLook => "查票、买票都在锁里",
            Way::KillInPlace => "买票时加锁，直接写原文件；头一个写到一半被杀",
            Way::KillRename => "买票时加锁，写好新文件再替换；头一个写到一半被杀",
        }
        .to_owned()
    },
    claim: |fact| match *fact {
        Fact::Sale { way, buyers, before, sold, after, torn, due, others } => {
            let left = after.map_or_else(|| "文件写坏了".to_owned(), |left| format!("还剩 {left} 张"));
            let observed = format!("{before} 张票卖了 {sold} 次，{left}（{}）", name(way));
            match way {
                Way::NoLock => Words::new(
                    format!("不加锁，{buyers} 个人个个都“买到”了票"),
                    observed,
                    format!(
                        "第一个人写下 {} 之前，{buyers} 个人读到的都是还剩 {before} 张。",
                        before.saturating_sub(1)
                    ),
                ),
                Way::Lock | Way::LockLook => Words::new(
                    format!("加了锁，{}卖 {due} 张（{}）", if others { "最多" } else { "只" }, name(way)),
                    observed,
                    "锁在谁手里，就只有谁能读、能写。",
                ),
                Way::KillInPlace => Words::new(
                    "直接写原文件，写到一半被杀，文件就坏了，后面谁也买不成",
                    observed,
                    format!("买票的死的时候文件只写了一半，后来的 {torn} 个人都读不懂它。"),
                ),
                Way::KillRename => Words::new(
                    format!("先写新文件再替换，中途被杀也不丢票，{before} 张照样卖给别人"),
                    observed,
                    "写了一半的是另一个文件，旧文件还是完整的；人死了，内核就把他的锁交给下一个。",
                ),
            }
        }
        Fact::Slower { knew_ns, knew_locked_ns, took_ns, took_locked_ns } => Words::new(
            "连查票也放进锁里，就更慢",
            format!("平均要 {} 才知道还剩几张，不放进去只要 {}", time(knew_locked_ns), time(knew_ns)),
            format!(
                "在锁里查票，查之前先得排队：全部办完用了 {}，不放进去是 {}。",
                time(took_locked_ns),
                time(took_ns)
            ),
        ),
    },
};
