//! 红绿灯。

use crate::experiments::event::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const EVENT: LessonTexts<Way, Fact> = LessonTexts {
    question: "一盏红绿灯，二十辆车：灯变绿了，每辆车都知道吗？",
    about: |way| {
        match way {
            Way::LookThenWait => "先看灯，再等通知",
            Way::Event => "拿着锁看灯，红灯就用条件变量等",
        }
        .to_owned()
    },
    claim: |&Fact { way, cars, missed, drove, slept_ns }| {
        let observed = format!("{cars} 辆里 {missed} 辆没收到通知，{drove} 辆开走了（{}）", name(way));
        match way {
            Way::LookThenWait => Words::new(
                format!("先看灯再等通知，{cars} 辆车全都错过：这就是丢失唤醒"),
                observed,
                format!(
                    "通知来的时候，大家都看过了红灯，却还没开始等；通知又不会留着。结果绿灯下全睡着，过了 {} 再看一眼才走。",
                    time(slept_ns),
                ),
            ),
            Way::Event => Words::new(
                "拿着锁看灯，红灯就等，一辆也不会错过",
                observed,
                "最后那辆车刚看到红灯，灯就要变了，它也没错过：灯要变色得先拿到锁，而车是睡下去的那一刻才把锁放开的，\
                 所以通知一定在它睡下之后才来。",
            ),
        }
    },
};
