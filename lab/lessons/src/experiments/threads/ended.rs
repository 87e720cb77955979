//! Children that are ended: by a signal that the parent sends, and with their parent; and how one
//! asks whether a child is alive.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::family::{Adopter, ZOMBIE, gone, is_zombie, reap, state, wait_until};
use super::kin::{GoOn, Kin, Word};
use super::{Scene, Threads};
use crate::Experiment;
use crate::cast::{Cast, Heard};
use crate::trace::{Recorder, State, Trace};
use crate::verdict::{Claim, Drawing, Figure};

/// The course's `is_alive`: a zombie is not.
fn is_alive(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != ZOMBIE)
}

/// Two children that remove their file when they end. One is let end, the other gets SIGTERM.
pub(super) fn terminate(delay: Duration, folder: &Path) -> Result<(Scene, Drawing)> {
    let mut me = Recorder::thread("main");
    let mut cast = Cast::new(Threads::NAME);
    let files = ["of the one", "of the other"].map(|name| folder.join(name));
    for (name, file) in ["ends itself", "is terminated"].into_iter().zip(&files) {
        cast.start(name, &Kin::Careful { file: file.clone(), works: delay })?;
    }
    let (one, other) = (cast.pid(0), cast.pid(1));
    me.enter_with(State::Blocked, "until both live");
    cast.listen_to_all::<Word>()?;
    let at_work = is_alive(one) && is_alive(other);
    cast.say(0, &GoOn)?;
    me.enter_with(State::Blocked, "until one has ended");
    ended(&mut cast, one)?;
    let after_end = is_alive(one);
    me.enter(State::Running);
    me.mark("terminates");
    kill(Pid::from_raw(other), Signal::SIGTERM).context("cannot terminate a child")?;
    me.enter_with(State::Blocked, "join");
    ended(&mut cast, other)?;
    let after_terminate = is_alive(other);
    let (mut lanes, statuses) = cast.join()?;
    lanes.insert(0, me.end());
    let signal = statuses[1].signal();
    let left = files.each_ref().map(|file| file.exists());
    let holds = at_work && !after_end && !after_terminate;
    let ends = statuses[0].success() && signal == Some(Signal::SIGTERM as i32);
    let claim = Claim::new(
        holds && ends && left == [false, true],
        "a child that is terminated has no time to clean up, and one that ends itself has",
        format!(
            "{} of the one that ended, {} of the one that was terminated, which ended by {}",
            files_left(left[0]),
            files_left(left[1]),
            signal.map_or_else(|| "no signal".to_owned(), |signal| format!("signal {signal}"))
        ),
        "SIGTERM ends a process between any two of its instructions, unless it has asked for the signal: no finally and no Drop is run, and what it has written so far stays.",
    );
    let how = signal.map_or_else(|| "none".to_owned(), |signal| format!("-{signal}"));
    let figures = vec![
        ("exit code", Figure::Word(how.clone())),
        ("files left", Figure::count(left.into_iter().filter(|is_left| *is_left).count())),
    ];
    let drawing = words(&[
        // Nothing was there to be asked.
        ("before it starts", "p.is_alive()", "there is no Child", "no"),
        ("at work", "p.is_alive()", "child.try_wait()?.is_none()", yes(at_work)),
        ("has ended", "p.is_alive()", "child.try_wait()?.is_none()", yes(after_end)),
        ("is ended", "p.terminate()", "kill(pid, Signal::SIGTERM)", "SIGTERM"),
        ("after that", "p.is_alive()", "child.try_wait()?.is_none()", yes(after_terminate)),
        ("how it ended", "p.exitcode", "child.wait()?.signal()", &how),
    ]);
    Ok((Scene { trace: Trace::new(lanes), figures, claim }, drawing))
}

/// Hears of the next end, which is that of the child `pid`; nobody has asked how it ended yet.
fn ended(cast: &mut Cast, pid: i32) -> Result<()> {
    let Heard::End(_) = cast.listen::<Word>()? else { bail!("a child has more to say") };
    wait_until("a child that has ended is a zombie", || is_zombie(pid).then_some(()))
}

fn files_left(is_left: bool) -> &'static str {
    if is_left { "a file is left" } else { "no file is left" }
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

/// What one asks, in Python and in Rust, and what the answer was.
fn words(rows: &[(&str, &str, &str, &str)]) -> Drawing {
    let mut text = format!("{:18}{:16}{:30}observed\n", "a child", "Python", "Rust");
    for (moment, python, rust, observed) in rows {
        let _ = writeln!(text, "{moment:18}{python:16}{rust:30}{observed}");
    }
    Drawing { title: "Whether a child is alive, and how it is ended".to_owned(), text, svg: None }
}

/// A process that ends after `works`, with a child that it has made end with it.
pub(super) fn daemon_child(works: Duration) -> Result<Scene> {
    let adopter = Adopter::begin()?;
    let mut cast = Cast::new(Threads::NAME);
    cast.start("parent", &Kin::DaemonParent { works })?;
    let Heard::Word(_, Word::ChildLives(pid, started_ns)) = cast.listen()? else {
        bail!("the parent does not tell of its child");
    };
    let mut child = Recorder::process("its child", pid, started_ns);
    child.enter_with(State::Blocked, "daemon of its parent");
    let was_alive = is_alive(pid);
    let Heard::End(_) = cast.listen::<Word>()? else { bail!("the parent has more to say") };
    wait_until("the daemon has ended", || is_zombie(pid).then_some(()))?;
    child.mark("terminated");
    child.enter_with(State::Done, "zombie");
    let status = reap(pid)?;
    child.mark("reaped");
    drop(adopter);
    let is_left = state(pid).is_some();
    let child = child.end();
    let (mut lanes, statuses) = cast.join()?;
    lanes.push(child);
    let is_terminated = matches!(status, WaitStatus::Signaled(_, Signal::SIGTERM, _));
    let how = match status {
        WaitStatus::Signaled(_, signal, _) => signal.as_str().to_owned(),
        other => format!("{other:?}"),
    };
    let claim = Claim::new(
        was_alive && is_terminated && statuses[0].success() && !is_left,
        "a child that is a daemon is ended when its parent ends",
        format!("the parent ended by itself, the child by {how}; {}", gone(is_left)),
        "The child has asked the kernel for SIGTERM when its parent ends (PR_SET_PDEATHSIG); Python's parent sends it itself, when it ends as usual.",
    );
    let figures = vec![("ended by", Figure::Word(how)), ("left", Figure::count(usize::from(is_left)))];
    Ok(Scene { trace: Trace::new(lanes), figures, claim })
}
