//! The programs that can be played, each by the name of its lesson, and what was recorded of them.

mod lines;

use super::Step::{
    Acquire, Add, Compute, IfPositive, Lock, Read, Sleep, UnlessPositive, Unlock, Wait, Wake, Write,
};
use super::{Fault, Play, Program, Step, Text, Thread};

type Steps = &'static [(&'static str, Step)];

/// What there is to play in a lesson.
pub fn of(lesson: &str) -> Option<Play> {
    all().into_iter().find(|(name, _)| *name == lesson).map(|(_, play)| play)
}

/// All of them.
pub fn all() -> Vec<(&'static str, Play)> {
    vec![
        ("tickets", tickets()),
        ("counter", counter()),
        ("deadlock", deadlock()),
        ("semaphore", semaphore()),
        ("event", event()),
        ("queue", queue()),
    ]
}

fn threads(all: &[(&'static str, Steps)]) -> Vec<Thread> {
    all.iter().map(|(name, steps)| Thread { name, steps }).collect()
}

fn counter() -> Play {
    const RACE: Steps =
        &[("count = num", Read(0)), ("count = count - 1", Compute(-1)), ("num = count", Write(0))];
    const LOCKED: Steps = &[
        ("lock.acquire()", Lock(0)),
        ("count = num", Read(0)),
        ("count = count - 1", Compute(-1)),
        ("num = count", Write(0)),
        ("lock.release()", Unlock(0)),
    ];
    let program = |steps, locks| Program {
        variables: &[("num", 2)],
        locks,
        threads: threads(&[("thread 1", steps), ("thread 2", steps)]),
        fault: Fault::EndsOtherThan(0, 0),
    };
    Play {
        task: Text {
            en: "Lose an update: let num end as 1, not 0.",
            zh: "丢掉一次更新：让 num 最后是 1，而不是 0。",
        },
        happened: Text { en: "An update is lost: num is 1.", zh: "丢了一次更新：num 是 1。" },
        wrong: program(RACE, &[]),
        right: program(LOCKED, &["lock"]),
        recorded: lines::counter(),
    }
}

fn tickets() -> Play {
    const LOOK: Steps = &[
        ("n = load()['count']", Read(0)),
        ("if n > 0:", UnlessPositive(5)),
        ("    n = n - 1", Compute(-1)),
        ("    dump(count=n)", Write(0)),
        ("    print('bought')", Add(1, 1)),
    ];
    const LOCKED: Steps = &[
        ("lock.acquire()", Lock(0)),
        ("n = load()['count']", Read(0)),
        ("if n > 0:", UnlessPositive(6)),
        ("    n = n - 1", Compute(-1)),
        ("    dump(count=n)", Write(0)),
        ("    print('bought')", Add(1, 1)),
        ("lock.release()", Unlock(0)),
    ];
    let program = |steps, locks| Program {
        variables: &[("count", 1), ("bought", 0)],
        locks,
        threads: threads(&[("buyer 1", steps), ("buyer 2", steps)]),
        fault: Fault::Above(1, 1),
    };
    Play {
        task: Text { en: "Sell the one ticket twice.", zh: "把仅有的一张票卖两次。" },
        happened: Text { en: "The ticket is sold twice.", zh: "同一张票卖了两次。" },
        wrong: program(LOOK, &[]),
        right: program(LOCKED, &["lock"]),
        recorded: lines::tickets(),
    }
}

fn deadlock() -> Play {
    const A_THEN_B: Steps = &[
        ("mutexA.acquire()", Lock(0)),
        ("mutexB.acquire()", Lock(1)),
        ("mutexB.release()", Unlock(1)),
        ("mutexA.release()", Unlock(0)),
    ];
    const B_THEN_A: Steps = &[
        ("mutexB.acquire()", Lock(1)),
        ("mutexA.acquire()", Lock(0)),
        ("mutexA.release()", Unlock(0)),
        ("mutexB.release()", Unlock(1)),
    ];
    let program = |second| Program {
        variables: &[],
        locks: &["mutexA", "mutexB"],
        threads: threads(&[("thread 1", A_THEN_B), ("thread 2", second)]),
        fault: Fault::Stuck,
    };
    Play {
        task: Text {
            en: "Close the cycle: let each wait for the lock that the other holds.",
            zh: "让它们绕成一个环：各自等着对方手里的锁。",
        },
        happened: Text { en: "Deadlock: nobody can go on.", zh: "死锁：谁也走不下去了。" },
        wrong: program(B_THEN_A),
        right: program(A_THEN_B),
        recorded: lines::deadlock(),
    }
}

fn semaphore() -> Play {
    const LOOK: Steps = &[
        ("n = free", Read(0)),
        ("if n > 0:", UnlessPositive(6)),
        ("    free -= 1", Add(0, -1)),
        ("    inside += 1", Add(1, 1)),
        ("    inside -= 1", Add(1, -1)),
        ("    free += 1", Add(0, 1)),
    ];
    const ACQUIRE: Steps = &[
        ("sem.acquire()", Acquire(0)),
        ("inside += 1", Add(1, 1)),
        ("inside -= 1", Add(1, -1)),
        ("sem.release()", Add(0, 1)),
    ];
    let program = |steps| Program {
        variables: &[("free", 2), ("inside", 0)],
        locks: &[],
        threads: threads(&[("person 1", steps), ("person 2", steps), ("person 3", steps)]),
        fault: Fault::Above(1, 2),
    };
    Play {
        task: Text {
            en: "Get three persons into two places.", zh: "只有两个位子，让三个人同时进去。"
        },
        happened: Text {
            en: "Three are inside, and there are two places.",
            zh: "两个位子，里面却有三个人。",
        },
        wrong: program(LOOK),
        right: program(ACQUIRE),
        recorded: lines::semaphore(),
    }
}

fn event() -> Play {
    const LOOK_THEN_SLEEP: Steps = &[
        ("green = light", Read(0)),
        ("if not green:", IfPositive(3)),
        ("    sleep until woken", Sleep),
        ("drive on", Compute(0)),
    ];
    const WAIT: Steps = &[
        ("cond.acquire()", Lock(0)),
        ("green = light", Read(0)),
        ("while not green:", IfPositive(4)),
        ("    cond.wait()", Wait(0, 1)),
        ("cond.release()", Unlock(0)),
        ("drive on", Compute(0)),
    ];
    const TURN: Steps = &[("light = green", Add(0, 1)), ("wake all", Wake)];
    const TURN_LOCKED: Steps = &[
        ("cond.acquire()", Lock(0)),
        ("light = green", Add(0, 1)),
        ("cond.notify_all()", Wake),
        ("cond.release()", Unlock(0)),
    ];
    let program = |car, light, locks| Program {
        variables: &[("light", 0)],
        locks,
        threads: threads(&[("car", car), ("light", light)]),
        fault: Fault::Stuck,
    };
    Play {
        task: Text {
            en: "Lose the wake-up: let the car sleep for ever, although the light is green.",
            zh: "丢掉唤醒：灯已经绿了，车却永远睡下去。",
        },
        happened: Text {
            en: "Lost wake-up: the car sleeps for ever.", zh: "唤醒丢了：车再也醒不来。"
        },
        wrong: program(LOOK_THEN_SLEEP, TURN, &[]),
        right: program(WAIT, TURN_LOCKED, &["cond"]),
        recorded: lines::event(),
    }
}

fn queue() -> Play {
    const LOOK_THEN_TAKE: Steps =
        &[("n = len(queue)", Read(0)), ("if n > 0:", UnlessPositive(3)), ("    queue.pop()", Add(0, -1))];
    const TAKE: Steps = &[("queue.get()", Acquire(0))];
    const PUT: Steps = &[("queue.put(bun)", Add(0, 1))];
    let program = |consumer| Program {
        variables: &[("queue", 1)],
        locks: &[],
        threads: threads(&[("producer", PUT), ("consumer 1", consumer), ("consumer 2", consumer)]),
        fault: Fault::Below(0, 0),
    };
    Play {
        task: Text { en: "Take from an empty queue.", zh: "从空队列里取东西。" },
        happened: Text {
            en: "Somebody has taken what was not there.", zh: "有人取走了不存在的东西。"
        },
        wrong: program(LOOK_THEN_TAKE),
        right: program(TAKE),
        recorded: lines::queue(),
    }
}
