//! 三个客户端，一个服务端。

use crate::experiments::servers::{Fact, Serves};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const SERVERS: LessonTexts<Serves, Fact> = LessonTexts {
    question: "三个客户端，一个服务端：谁在服务谁，谁在等谁？",
    about: |serves| {
        match serves {
            Serves::InTurn => "一次只服务一个人",
            Serves::ProcessPool => "两个进程，人还没来就开好了",
            Serves::ThreadPool => "两个线程，人还没来就开好了",
            Serves::Process => "一个客户端一个进程",
            Serves::Thread => "一个客户端一个线程",
            Serves::Loops => "几个事件循环，一起分担客户端",
            Serves::Loop => "一个事件循环，所有客户端都在一张表里",
            Serves::Tasks => "一个客户端一个任务，都在一个事件循环上",
        }
        .to_owned()
    },
    claim: |&Fact { model, serves, waited_ns, served }| {
        let loop_why = "事件循环从不单等某一个客户端，谁先说话就先答谁；别人还没觉察，已经答完了。";
        let (noun, expected, why) = match serves {
            Serves::InTurn => (
                "个线程",
                "正在服务一个人的时候，后来的只能等他走",
                "一次只服务一个人的服务端，眼前这位不说话，它就睡着等。别人没人搭理，处理器却闲着。",
            ),
            Serves::ProcessPool | Serves::ThreadPool => (
                if serves == Serves::ProcessPool { "个进程" } else { "个线程" },
                "两个各服务一个人，第三个人要等其中一个走",
                "池里的每一个，从头到尾只归一个客户端，客户端不说话，它也陪着。",
            ),
            Serves::Process => (
                "个进程",
                "谁也不等，一个客户端有一个自己的进程",
                "客户端不说话，它的进程就睡着，内核让别的进程跑。",
            ),
            Serves::Thread => {
                ("个线程", "谁也不等，一个客户端有一个自己的线程", "换成线程也是一样，只是大家共用一份内存。")
            }
            Serves::Loops => ("个事件循环", "谁也不等，几个事件循环一起分担", loop_why),
            Serves::Loop | Serves::Tasks => ("个事件循环", "谁也不等，一个线程服务所有人", loop_why),
        };
        let who = match served {
            None => "看不出是谁在服务".to_owned(),
            Some(count) => format!("服务的是 {count} {noun}"),
        };
        let [second, third] = waited_ns.map(time);
        Words::new(
            format!("{model}：{expected}"),
            format!("客户端 2 等了 {second}，客户端 3 等了 {third}，{who}"),
            why,
        )
    },
};
