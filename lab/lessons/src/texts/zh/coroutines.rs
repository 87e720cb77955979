//! 协程。

use crate::experiments::coroutines::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::Words;

pub(super) const COROUTINES: LessonTexts<Way, Fact> = LessonTexts {
    question: "一个线程上两个协程，一个睡 3 个单位，一个睡 5 个：一共要 8 个，还是 5 个？",
    about: |way| {
        match way {
            Way::InTurn => "func1 睡完，才轮到 func2",
            Way::Together => "func1 和 func2 一起睡",
            Way::Greedy => "再加一个 func3，一口气算到底",
            Way::Yielding => "再加一个 func3，算一会儿让一让",
        }
        .to_owned()
    },
    claim: |fact| {
        let Fact { way, both, longest, length, late, threads, pieces } = fact;
        let observed = format!("{threads} 个线程，用了 {length} 个单位（{}）", name(*way));
        match way {
            Way::InTurn => {
                Words::new(format!("一个接一个，要 {both} 个单位"), observed, "轮着来，就没有两个同时在睡。")
            }
            Way::Together => Words::new(
                format!("一起睡，只要 {longest} 个单位"),
                observed,
                "一起睡，两段时间就叠在一起：要睡的协程留个闹钟，把线程让出来，所以一个线程就够了。",
            ),
            Way::Greedy => Words::new(
                "有一个只顾着算，从不让出来，别人就全被耽误",
                format!("{observed}，func1 晚醒 {late} 个单位"),
                "func3 在算，别人的闹钟响了也没人听见：协程不会被打断，只能自己让。",
            ),
            Way::Yielding => Words::new(
                "算一会儿让一让，就不耽误别人",
                format!("{observed}，最多晚醒 {late} 个单位"),
                format!("func3 把活分成 {pieces} 段，做完一段让一次，闹钟响了的就能接着走。"),
            ),
        }
    },
};
