//! 中文。

use harness::machine::Machine;
use harness::units::{bytes, grouped};

use super::{Ask, Page, Texts, Titles, time};
use crate::choose::rule::{Change, LEAST_SHARE, MOST_MEMORY, MOST_TASKS, Out};
use crate::notes::Disturbance;

pub(super) const TEXTS: Texts = Texts {
    ask: Ask {
        clients: "同时连着多少客户端？",
        silent: "其中多少平时不说话？",
        does: "一个请求做什么：要算多久（20us），要等多久（wait 5ms），都不要就答 no？",
        confined: "一处崩溃，别的客户端的对话必须不受影响吗（yes 或 no）？",
        number: |from, to| format!("{from} 到 {to} 的整数"),
        doing: "no，或者计算的时间，例如 20us，或者 wait 加上等的时间，例如 wait 5ms",
        yes: "yes 或 no",
        again: |takes| format!("请回答：{takes}"),
    },
    titles: Titles {
        asked: "你问的",
        choose: "选",
        because: "理由",
        runner_up: "其次",
        flips: "会变",
        sure: "把握",
        out: "不行",
        left_out: "没有测",
        doubt: "存疑",
        measured: "怎样测的",
        again: "再来一次",
    },
    page: Page {
        title: "选哪一个模型",
        able: "办得到的",
        none: "在这台机器上，没有一个模型办得到。",
        out: "不行的",
        left_out: "没有测的",
        doubts: "存疑",
        measured: "怎样测的",
        table: "表格",
        again: "再来一次",
        sentence: |words| format!("{words}。"),
    },
    header: ["模型", "能力", "CPU/请求", "内存/客户端", "总内存", "代码行数"],
    title: |title| format!("{title}："),
    titled: |name, words| format!("{name}：{words}"),
    only: "别的要么办不到，要么连它的一半也做不到",
    simplest: |lines| {
        let lines = lines.map_or_else(String::new, |lines| format!("（{lines} 行代码）"));
        format!("能力达到最强者 {:.0}% 的模型里，它最简单{lines}", LEAST_SHARE * 100.0)
    },
    most: "没有谁比它更强",
    can_do: |share| {
        format!(
            "每秒能答的请求，是最强者的 {:.0}%（{:.0} 到 {:.0}）",
            share.value * 100.0,
            share.low * 100.0,
            share.high * 100.0
        )
    },
    besides: |words| format!("；{words}"),
    flip: |change, clients| match change {
        Change::Clients(more) if more > clients => format!("客户端到了 {} 个", grouped(more)),
        Change::Clients(1) => "客户端只有一个".to_owned(),
        Change::Clients(fewer) => format!("客户端不超过 {} 个", grouped(fewer)),
        Change::Confined(true) => "崩溃不能影响别的对话".to_owned(),
        Change::Confined(false) => "崩溃可以影响别的对话".to_owned(),
        Change::Waits(true) => "每个请求都要等别的东西".to_owned(),
        Change::Waits(false) => "请求什么也不用等".to_owned(),
    },
    flips: |model, change| format!("{change}，就选 {model}"),
    sure: |rounds| format!("有，{rounds} 轮的 95 % 区间，都没有跨过门槛，再测一遍多半还是这个答案"),
    unsure: |rounds, models, bears| {
        let (sure, then) = if bears {
            ("没有", "；请在机器空闲的时候再测一遍")
        } else {
            ("差不多有", "，不过这不影响选谁")
        };
        format!(
            "{sure}，测了 {rounds} 轮，还是看不出 {} 够不够得上最强者的 {:.0}%{then}",
            models.join("、"),
            LEAST_SHARE * 100.0
        )
    },
    out: |out| match *out {
        Out::Serial => "它只能一个客户端接一个客户端地服务".to_owned(),
        Out::Crash => "一处崩溃，会断掉别的对话".to_owned(),
        Out::Waits => "一个请求在等，同一个循环里的就全得等".to_owned(),
        Out::Memory { needs, may } => format!(
            "客户端要用 {} 内存，只准用 {}（可用内存的 {:.0}%）",
            bytes(needs),
            bytes(may),
            MOST_MEMORY * 100.0
        ),
        Out::Tasks { needs, may } => format!(
            "要开 {} 个进程或线程，只准开 {} 个（上限的 {:.0}%）",
            grouped(needs),
            grouped(may),
            MOST_TASKS * 100.0
        ),
        Out::Slow { share, best } => format!("能力只有 {} 的 {:.0}%", best.name(), share * 100.0),
        Out::Unmeasured => "没有测到".to_owned(),
    },
    doubt: |doubt| match doubt {
        Disturbance::Others { from, count, rounds, most } => format!(
            "{rounds} 轮里有 {count} 轮，别的程序占了 {from} 个核以上，最多 {most:.1} 个：数字忽高忽低也有它们一份，\
             请在机器空闲的时候再测"
        ),
        Disturbance::Quota { throttled, periods } => format!(
            "控制组的 CPU 配额拖住了服务端，{periods} 个周期里有 {throttled} 个：测到的是配额。\
             请调高 cpu.max，或者换个地方测"
        ),
    },
    needs: |needs| {
        let silent = match needs.silent {
            0 => String::new(),
            silent => format!("，其中 {} 个不说话", grouped(silent)),
        };
        let does = match (needs.computes.is_zero(), needs.waits.is_zero()) {
            (true, true) => "请求不用算，也不用等".to_owned(),
            (false, true) => format!("一个请求要算 {}", time(needs.computes)),
            (true, false) => format!("一个请求要等 {}", time(needs.waits)),
            (false, false) => {
                format!("一个请求要算 {}，再等 {}", time(needs.computes), time(needs.waits))
            }
        };
        let crash = if needs.confined { "必须不影响别的对话" } else { "可以影响别的对话" };
        format!("{} 个客户端{silent}；{does}；一处崩溃，{crash}", grouped(needs.clients))
    },
    measured: |advice| {
        let figures = &advice.figures;
        let memory = if advice.needs.clients > 1 {
            format!("；一个客户端占的内存，连同内核那一份，在 {} 个里测", figures.silent)
        } else {
            String::new()
        };
        format!(
            "{} 个连接同时发请求，测每个请求的 CPU 时间{memory}；所有服务端轮流，一共 {} 轮，用了 {:.0} s；\
             模型的能力，就是用得上的核（这里 {} 个）除以这个时间；{}",
            figures.asking,
            figures.rounds,
            advice.took_s,
            figures.room.cores,
            machine(&advice.machine)
        )
    },
};

fn machine(machine: &Machine) -> String {
    let mut words = format!("{} 个核", machine.cores);
    if !machine.processor.is_empty() {
        words.push_str(&format!("（{}）", machine.processor));
    }
    if !machine.kernel.is_empty() {
        words.push_str(&format!("，Linux {}", machine.kernel));
    }
    words
}
