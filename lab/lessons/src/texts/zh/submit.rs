//! 同步与异步，阻塞与非阻塞。

use crate::experiments::name;
use crate::experiments::submit::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const SUBMIT: LessonTexts<Way, Fact> = LessonTexts {
    question: "任务交给了线程池：自己等着，隔一会儿问一声，还是让它来叫你？",
    about: |way| {
        match way {
            Way::EachResult => "交一个，等它的结果，再交下一个",
            Way::AllResults => "全交上去，再等结果",
            Way::Ask => "全交上去，先做别的，时不时问一声",
            Way::Callback => "全交上去，先做别的，做完了来叫我",
        }
        .to_owned()
    },
    claim: |&Fact { way, together, most, length_ns, asked }| {
        let observed = format!("{} 用了 {}，同时最多 {most} 个", name(way), time(length_ns));
        match way {
            Way::EachResult => Words::new(
                "等到一个的结果才交下一个，线程池就一次只做一个",
                observed,
                "循环里写 `submit(...).result()`，是同步，也是阻塞：别的工作线程没活干。",
            ),
            Way::AllResults => Words::new(
                format!("全交上去再等，{together} 个任务一起做，只是调用者自己什么也没干"),
                observed,
                "结果还是它自己去取，没好就睡着等：仍然是同步、阻塞。",
            ),
            Way::Ask => Words::new(
                "只问不等，就不会被阻塞，可是一次次白问",
                format!("{observed}，白问了 {asked} 次"),
                "问一声马上就回来，有没有结果都回来：非阻塞，但仍然是同步。",
            ),
            Way::Callback => Words::new(
                "有回调就谁也不用问，一直在做自己的事",
                observed,
                "函数事先说好了，结果会送到它那里：这就是异步。",
            ),
        }
    },
};
