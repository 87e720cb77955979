//! 饥饿。

use crate::experiments::name;
use crate::experiments::starve::{Fact, Way};
use crate::texts::{LessonTexts, Waits};
use crate::verdict::{Words, time};

pub(super) const STARVE: LessonTexts<Way, Fact> = LessonTexts {
    question: "八个线程不停地抢一把锁：谁拿得到，谁干等？",
    about: |way| {
        match way {
            Way::MutexLong => "标准库的互斥锁，整份活都拿着锁干",
            Way::TicketLong => "排号锁，整份活都拿着锁干",
            Way::MutexShort => "标准库的互斥锁，只有二十分之一的活拿着锁",
            Way::TicketShort => "排号锁，只有二十分之一的活拿着锁",
        }
        .to_owned()
    },
    claim: |&Fact { way, overtaken, waited_ns, worked_ns, in_a_row, turns, fewest, most }| {
        let observed = format!(
            "最倒霉的被插队 {overtaken} 次，一共干活 {}，等锁 {}（{}）",
            time(worked_ns),
            time(waited_ns),
            name(way)
        );
        match way {
            Way::MutexLong => Words::new(
                "标准库的互斥锁，拿得久，等着的就会被插队",
                observed,
                format!(
                    "标准库的互斥锁放手时不会移交给下一个：{turns} 轮里有 {in_a_row} 轮，刚放手的那个转身又拿到了，\
                     被叫醒的还没爬起来。多的拿到 {most} 轮，少的只有 {fewest} 轮。"
                ),
            ),
            Way::TicketLong => Words::new(
                "换成排号锁，没有人被插队，可是个个都得等",
                observed,
                format!("排号锁先来先得，人人有份（{fewest} 到 {most} 轮），只是等的时间一点没少。"),
            ),
            Way::MutexShort | Way::TicketShort => Words::new(
                format!("锁只拿二十分之一的时间（{}），干活就比等锁多", name(way)),
                observed,
                "拿得短，锁多半空着，用哪一种锁就无所谓了。",
            ),
        }
    },
};

pub(super) const WAITS: Waits = Waits {
    title: "等锁的时间是怎么分布的",
    distribution: "等锁时间的分布",
    below: |limit| format!("{limit} 以内"),
    longer: "更久",
    waits: |variant, row, count| format!("{variant}，{row}：{count} 次"),
};
