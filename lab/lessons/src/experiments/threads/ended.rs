//! Children that are ended: by a signal that the parent sends, and with their parent; and how one
//! asks whether a child is alive.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::lang::Both;
use harness::text::fitted;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::family::{Adopter, ZOMBIE, is_zombie, reap, state, wait_until};
use super::kin::{GoOn, Kin, Word};
use super::{Fact, Scene, Threads};
use crate::Experiment;
use crate::cast::{Cast, Heard};
use crate::texts::{Alive, say};
use crate::trace::{Recorder, State, Trace};
use crate::verdict::{Drawing, Figure};

/// The course's `is_alive`: a zombie is not.
fn is_alive(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != ZOMBIE)
}

/// Two children that remove their file when they end. One is let end, the other gets SIGTERM.
pub(super) fn terminate(delay: Duration, folder: &Path) -> Result<(Scene, Both<Drawing>)> {
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
    let claim = Fact::Terminated { left, signal }.claim(holds && ends && left == [false, true]);
    let how = signal.map_or_else(|| "none".to_owned(), |signal| format!("-{signal}"));
    let figures = vec![
        ("exit code", Figure::Word(how.clone())),
        ("files left", Figure::count(left.into_iter().filter(|is_left| *is_left).count())),
    ];
    let drawing = say(|texts| {
        let (said, alive) = (&texts.alive, "child.try_wait()?.is_none()");
        let yes = |is_so| if is_so { said.yes } else { said.no };
        let how = if signal.is_some() { &how } else { said.none };
        let asked = [
            // Nothing was there to be asked.
            ("p.is_alive()", said.no_child, said.no),
            ("p.is_alive()", alive, yes(at_work)),
            ("p.is_alive()", alive, yes(after_end)),
            ("p.terminate()", "kill(pid, Signal::SIGTERM)", "SIGTERM"),
            ("p.is_alive()", alive, yes(after_terminate)),
            ("p.exitcode", "child.wait()?.signal()", how),
        ];
        words(said, &asked)
    });
    Ok((Scene { trace: Trace::new(lanes), figures, claim }, drawing))
}

/// Hears of the next end, which is that of the child `pid`; nobody has asked how it ended yet.
fn ended(cast: &mut Cast, pid: i32) -> Result<()> {
    let Heard::End(_) = cast.listen::<Word>()? else { bail!("a child has more to say") };
    wait_until("a child that has ended is a zombie", || is_zombie(pid).then_some(()))
}

/// What one asks at each moment, in Python and in Rust, and what the answer was.
fn words(said: &Alive, asked: &[(&str, &str, &str); 6]) -> Drawing {
    let line = |moment: &str, python: &str, rust: &str, observed: &str| {
        format!("{}{}{}{observed}\n", fitted(moment, 18), fitted(python, 16), fitted(rust, 30))
    };
    let rows = said.moments.iter().zip(asked);
    let rows = rows.map(|(moment, (python, rust, observed))| line(moment, python, rust, observed));
    let text = line(said.child, "Python", "Rust", said.observed) + &rows.collect::<String>();
    Drawing { title: said.title.to_owned(), text, svg: None }
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
    let holds = was_alive && is_terminated && statuses[0].success() && !is_left;
    let claim = Fact::Daemon { how: how.clone(), is_left }.claim(holds);
    let figures = vec![("ended by", Figure::Word(how)), ("left", Figure::count(usize::from(is_left)))];
    Ok(Scene { trace: Trace::new(lanes), figures, claim })
}
