//! 共享的计数器。

use crate::experiments::counter::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const COUNTER: LessonTexts<Way, Fact> = LessonTexts {
    question: "一百个线程，每个给 100 减一次 1：最后是 0 吗？",
    about: |way| {
        match way {
            Way::NoPause => "读了马上写，中间什么也不做",
            Way::Race => "先读，睡一会儿，再写",
            Way::Barrier => "先读，等大家都读完，睡一会儿，再写",
            Way::Gil => "同上，但每一步都在解释器锁里做，睡觉时把锁让出去",
            Way::Mutex => "读、睡、写，全在一把互斥锁里",
            Way::Atomic => "先睡，然后一步减完",
        }
        .to_owned()
    },
    claim: |&Fact { way, all, left, length_ns }| {
        let (lost, length) = (all - 1, time(length_ns));
        let observed = format!("减了 {all} 次，剩 {left}（{}）", name(way));
        match way {
            Way::NoPause => Words::new(
                "中间不停顿，竞态就很难碰上：什么结果都可能，往往只丢几次，甚至一次不丢",
                observed,
                "读和写之间的空当很短，可是短不等于没有。谁恰好在这里被打断，等它回来，就拿旧数把别人减的全盖掉。\
                 靠运气对，就是错。",
            ),
            Way::Race => Words::new(
                format!("读和写之间睡一会儿，更新几乎全丢，大约剩 {lost}"),
                observed,
                "一个在睡，别的读到的还是同一个数，各自减 1 写回去，等于只减了一次。",
            ),
            Way::Barrier => Words::new(
                format!("大家都读完了才写，剩下的一定是 {lost}，不会更少"),
                observed,
                format!("第一个写之前，{all} 个读到的都是 {all}，所以个个写的都是 {lost}。"),
            ),
            Way::Gil => Words::new(
                format!("锁只管一步，也一样剩 {lost}"),
                observed,
                "锁从来没有同时落在两个线程手里，可是读完以后、写之前，它被让出去了。",
            ),
            Way::Mutex => Words::new(
                "整段都放进一把互斥锁，剩 0",
                observed,
                format!("有了互斥锁就得一个等一个，一共用了 {length}。"),
            ),
            Way::Atomic => Words::new(
                "用原子操作来减，剩 0",
                observed,
                format!("原子操作读和写是一步，谁也插不进来，所以大家可以同时睡，只用了 {length}。"),
            ),
        }
    },
};
