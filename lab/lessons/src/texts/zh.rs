//! 中文。

mod coroutines;
mod counter;
mod deadlock;
mod event;
mod gil;
mod levels;
mod pool;
mod queue;
mod semaphore;
mod servers;
mod spawn;
mod starve;
mod submit;
mod threads;
mod tickets;
mod words;

use super::{Frame, Lanes, Page, Texts};
use crate::trace::State;

pub(super) const TEXTS: Texts = Texts {
    frame: Frame {
        title: |title| format!("{title}："),
        titled: |title, words| format!("{title}：{words}"),
        claim: |expected, observed| format!("{expected}。这次：{observed}"),
        verdict: "结论",
        no_claims: "没有结论，单跑这一种做法，说明不了什么",
        as_expected: "符合预期",
        not_as_expected: "不符合预期",
        variant: "做法",
        figure: |name, value| format!("{name}{}{value}", if value.is_ascii() { " " } else { "：" }),
        comma: "，",
        why: "原因",
        sentence: |phrases| match phrases {
            [] => String::new(),
            phrases => format!("{}。", phrases.join("；")),
        },
        reasons: |reasons| reasons.concat(),
        no_reason: |expected| format!("预期是“{expected}”，这一次却不是，原因还不知道。"),
    },
    lanes: Lanes {
        state: |state| match state {
            State::Running => "运行态",
            State::Ready => "就绪态",
            State::Waiting => "等待",
            State::Holding => "持有",
            State::Sleeping => "睡眠",
            State::Blocked => "阻塞态",
            State::Done => "僵尸",
        },
        running_or_ready: "运行态或就绪态（分不清）",
        partly_ready: "其中一段是就绪态（不知道是哪一段）",
        ready: |time| format!("其中 {time} 处于就绪态"),
        nothing: "（什么也没有记录到）",
        sample: |shown, all| format!("（一共 {all} 行，均匀地挑了 {shown} 行）"),
        holding: |lock| format!("拿着 {lock}"),
        hold_and_wait: |lock| format!("拿着 {lock} 又在等"),
        in_hand: |locks| format!("手里拿着 {}", locks.join(" 和 ")),
        most: |most| format!("最多 {most}"),
        band: |name, most| format!("{name}：最多 {most}"),
        lane: |name, pid, tid| {
            let thread = tid.map_or_else(String::new, |tid| format!("，线程 {tid}"));
            format!("{name}，进程 {pid}{thread}")
        },
        doing: |state, what, hand| {
            let what = if what.is_empty() { String::new() } else { format!("（{what}）") };
            let hand = if hand.is_empty() { String::new() } else { format!("，{hand}") };
            format!("{state}{what}{hand}")
        },
        span: |lane, doing, from, length, ready| {
            let ready = if ready.is_empty() { String::new() } else { format!("，{ready}") };
            format!("{lane}：{doing}，从 {from} 起，持续 {length}{ready}")
        },
        mark: |lane, label, value, at| {
            let gap = if value.is_empty() { "" } else { " " };
            format!("{lane}：{label}{gap}{value}，在 {at}")
        },
    },
    page: Page {
        title: "并发课程的全部实验",
        contents: "目录",
        figures: "数据",
        debug_build: "这是调试版跑出来的，数字不作数。",
    },
    word: words::word,
    servers: servers::SERVERS,
    tickets: tickets::TICKETS,
    spawn: spawn::SPAWN,
    threads: threads::THREADS,
    alive: threads::ALIVE,
    counter: counter::COUNTER,
    gil: gil::GIL,
    gil_table: gil::GIL_TABLE,
    deadlock: deadlock::DEADLOCK,
    cycle: deadlock::CIRCLE,
    semaphore: semaphore::SEMAPHORE,
    event: event::EVENT,
    pool: pool::POOL,
    submit: submit::SUBMIT,
    queue: queue::QUEUE,
    coroutines: coroutines::COROUTINES,
    starve: starve::STARVE,
    waits: starve::WAITS,
    levels: levels::LEVELS,
};
