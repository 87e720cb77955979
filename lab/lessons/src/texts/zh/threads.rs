//! 线程与进程。

use crate::experiments::threads::{Fact, Way, Writer};
use crate::texts::{Alive, LessonTexts};
use crate::verdict::{Words, time};

pub(super) const THREADS: LessonTexts<Way, Fact> = LessonTexts {
    question: "线程共用什么，进程不共用什么？父进程没了，谁还活着？",
    about: |way| {
        match way {
            Way::Shared => "几个线程，第一个改一个全局变量",
            Way::Isolated => "几个进程，第一个改一个全局变量",
            Way::NoJoin => "子线程还在干活，主线程接着往下走",
            Way::Join => "主线程等子线程结束，再往下走",
            Way::Daemon => "主线程结束了，另一个线程还在干活",
            Way::NoDaemon => "主线程结束之前，先 join 另一个线程",
            Way::Zombie => "进程已经结束，父进程不来问",
            Way::Orphan => "父进程被杀，子进程还活着",
            Way::Terminate => "一个子进程自己结束，一个干到一半被 terminate",
            Way::DaemonChild => "父进程结束，子进程跟着结束",
            Way::RequestAlone => "答复请求的人先自己写完日志",
            Way::RequestThread => "答复请求的人开一个线程去写日志",
            Way::RequestProcess => "答复请求的人开一个进程去写日志",
        }
        .to_owned()
    },
    claim: |fact| match fact {
        Fact::Shared { children, pids, names, active, money } => Words::new(
            format!("{children} 个线程，进程号相同，名字各是各的，一个改了全局变量，大家都看得到"),
            format!(
                "进程号 {pids} 个，名字 {names} 个，连主线程一共 {active} 个线程，主线程看到的 money 是 {money}"
            ),
            "线程都在同一份内存里，money 只有一份。",
        ),
        Fact::Isolated { children, pids, parent, first, money } => Words::new(
            format!("{children} 个进程，进程号各是各的，一个改了全局变量，别的看不到"),
            format!(
                "进程号 {pids} 个，父进程都是 {parent}，第一个的 money 是 {first}，主进程的 money 是 {money}"
            ),
            "一个进程一份内存，money 也是一个进程一份。",
        ),
        Fact::Join { joins, main_was_first } => {
            let order = if *main_was_first {
                "子线程还没完，主线程就往下走了"
            } else {
                "子线程先结束"
            };
            if *joins {
                Words::new(
                    "有 join，主线程要等子线程结束才往下走",
                    order,
                    "join 要等对方结束才返回，一刻也不会早。",
                )
            } else {
                Words::new("没有 join，活还没干完，主线程就往下走了", order, "开了一个线程，并不等于等它。")
            }
        }
        Fact::MainEnds { joins: true, is_over } => Words::new(
            "join 过的线程，活能干完",
            format!("它的活{}", if *is_over { "干完了" } else { "丢了" }),
            "主线程等了它。Python 退出的时候，对不是守护线程的也都这样等。",
        ),
        Fact::MainEnds { joins: false, is_over } => Words::new(
            "没有 join 的线程，跟主线程一起死",
            format!("它的活{}，线程也没了", if *is_over { "干完了" } else { "丢了" }),
            "主线程一结束，进程就结束；进程一结束，里面的线程全没了。",
        ),
        Fact::Zombie { was_zombie, left_ns, is_left } => Words::new(
            "进程结束了，父进程不来问，它就是僵尸",
            format!(
                "状态是 {}，持续 {}，然后{}",
                if *was_zombie { "Z" } else { "别的" },
                time(*left_ns),
                gone(*is_left)
            ),
            "内核只给父进程留着它的进程号和退出状态，别的都收走了；父进程调用 wait(2)，这两样也就取走了。",
        ),
        Fact::Orphan { parent, after, is_lab, is_left } => Words::new(
            "父进程没了，子进程照样活着，由别人收养，也由收养它的人收尸",
            format!(
                "父进程先是 {parent}，后来是 {after}，{}实验程序，最后{}",
                if *is_lab { "就是" } else { "不是" },
                gone(*is_left)
            ),
            "孤儿归最近的、肯替人收尸的祖先（PR_SET_CHILD_SUBREAPER），这里是实验程序，没有的话就是 1 号进程。",
        ),
        Fact::Terminated { left, signal } => {
            let [one, other] = left.map(|left| if left { "文件还在" } else { "文件清掉了" });
            let signal =
                signal.map_or_else(|| "不是因为信号".to_owned(), |signal| format!("因为信号 {signal}"));
            Words::new(
                "被 terminate 的子进程来不及收拾，自己结束的来得及",
                format!("自己结束的，{one}；被 terminate 的，{other}，它结束是{signal}"),
                "没有事先说过要处理 SIGTERM，进程就随时可能在两条指令之间结束：finally 不跑，Drop 也不跑，\
                 已经写下的东西就留在那里。",
            )
        }
        Fact::Daemon { how, is_left } => Words::new(
            "守护子进程，父进程一结束，它也结束",
            format!("父进程是自己结束的，子进程是被 {how} 结束的，最后{}", gone(*is_left)),
            "子进程事先跟内核说好，父进程结束就给自己发 SIGTERM（PR_SET_PDEATHSIG）；Python 是父进程正常退出时自己来发。",
        ),
        Fact::Request { writer, took_ns, is_written_before } => {
            let observed = format!(
                "过了 {} 收到网页，日志{}写完",
                time(*took_ns),
                if *is_written_before { "在那之前就" } else { "在那之后才" }
            );
            let going_on = |noun| format!("函数返回了，它开的{noun}还在干");
            let expected = match writer {
                Writer::Itself => {
                    return Words::new(
                        "慢活自己干，就得干完才能答复",
                        observed,
                        "一个函数里的事，只能一件一件做。",
                    );
                }
                Writer::Thread => going_on("线程"),
                Writer::Process => going_on("进程"),
            };
            Words::new(expected, observed, "线程不归那个函数管，归进程管，进程还在；子进程本来就是独立的。")
        }
    },
};

fn gone(is_left: bool) -> &'static str {
    if is_left { "还剩下点什么" } else { "什么也没剩下" }
}

pub(super) const ALIVE: Alive = Alive {
    title: "子进程活着吗，怎样结束它",
    child: "子进程",
    observed: "看到的",
    moments: ["还没启动", "正在干活", "自己结束了", "叫它结束", "那以后", "怎么结束的"],
    no_child: "还没有 Child",
    yes: "活着",
    no: "没有",
    none: "没有信号",
};
