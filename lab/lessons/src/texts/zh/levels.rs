//! 进程、线程、协程，一层叠一层。

use crate::experiments::levels::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const LEVELS: LessonTexts<Way, Fact> = LessonTexts {
    question: "进程、线程、协程：每一层比下面那层多给了什么？",
    about: |way| {
        match way {
            Way::Coroutines => "一个客户端一个协程，全在一个线程上",
            Way::Threads => "一个客户端一个协程，分给几个线程",
            Way::Processes => "一个客户端一个协程，分给几个进程，每个进程几个线程",
        }
        .to_owned()
    },
    claim: |&Fact { way, length_ns, asleep, computing, processes, seen }| {
        let observed =
            format!("{} 用了 {}，同时最多 {asleep} 个在等，{computing} 个在算", name(way), time(length_ns));
        match way {
            Way::Coroutines => Words::new(
                "协程：等可以一起等，算只能一个一个算",
                observed,
                "协程要等，就把线程让出来；要算，就一直占着线程。",
            ),
            Way::Threads => Words::new(
                format!("{processes} 个线程，就能有 {processes} 个同时在算，还在同一个进程里"),
                observed,
                "每个线程跑自己的那些协程，有几个核，内核就让几个线程同时跑，轮不到的就处于就绪态。",
            ),
            Way::Processes => Words::new(
                format!("{processes} 个进程，把客户端分开"),
                format!("{observed}，分在 {seen} 个进程里"),
                "进程在客户端之间砌了墙，一边崩溃，另一边没事。在 Python 里，多开进程才用得上多个核：它的解释器一次只跑一个线程。",
            ),
        }
    },
};
