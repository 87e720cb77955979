//! 生产者与消费者。

use crate::experiments::name;
use crate::experiments::queue::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const QUEUE: LessonTexts<(Way, usize), Fact> = LessonTexts {
    question: "生产者比消费者快：有界队列管什么用？",
    about: |(way, capacity)| match way {
        Way::Unbounded => "线程，队列没有上限".to_owned(),
        Way::Threads => format!("线程，队列有 {capacity} 个位置"),
        Way::Processes => format!("进程，管道里有 {capacity} 个位置"),
    },
    claim: |fact| match *fact {
        Fact::Most { way, due, most } => {
            let (observed, bounded) = (
                format!("最多排了 {most} 个（{}）", name(way)),
                format!("{due} 个位置，最多排 {due} 个，从不超出（{}）", name(way)),
            );
            match way {
                Way::Unbounded => Words::new(
                    format!("没有上限，{due} 个东西全堆在队列里"),
                    observed,
                    "没有什么能让生产者慢下来。",
                ),
                Way::Threads => Words::new(bounded, observed, "没有位置的生产者就睡下，等消费者腾出一个来。"),
                Way::Processes => {
                    Words::new(bounded, observed, "进程之间用两根管道：一根送东西，一根还空位。")
                }
            }
        }
        Fact::Order { items, right, ways } => Words::new(
            format!("{items} 个东西，每个恰好取走一次，同一个生产者的不乱序"),
            format!("{ways} 种做法里 {right} 种是这样"),
            "取最早的那个只要一步，不会两个人取到同一个。",
        ),
        Fact::Pressure { with_ns, without_ns } => Words::new(
            "队列一满，生产者就得等",
            format!("有上限一共等了 {}，没有上限 {}", time(with_ns), time(without_ns)),
            "于是生产者降到和消费者一样快，要用的内存也不再涨。",
        ),
    },
};
