//! 信号量。

use crate::experiments::semaphore::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const SEMAPHORE: LessonTexts<(Way, usize), Fact> = LessonTexts {
    question: "五个位置，二十个线程：里面同时能有几个？",
    about: |(way, places)| match way {
        Way::Open => "谁来都直接进".to_owned(),
        Way::Semaphore => format!("信号量，{places} 个位置"),
    },
    claim: |&Fact { way, threads, places, most, longest_ns }| match way {
        Way::Open => Words::new(
            format!("没有信号量，{threads} 个一起进去"),
            format!("里面同时有 {most} 个"),
            "门口没有人拦。",
        ),
        Way::Semaphore => Words::new(
            format!("{places} 个位置，最多进 {} 个，也确实满过", places.min(threads)),
            format!("{threads} 个线程，同时最多 {most} 个"),
            format!("进去之前先占一个位置，占不到就睡着等，这一次最久等了 {}。", time(longest_ns)),
        ),
    },
};
