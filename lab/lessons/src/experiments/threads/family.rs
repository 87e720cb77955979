//! What dies with its process, and what is left of one that dies: seen in /proc (proc_pid_stat(5)),
//! and cleaned up.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use procfs::process::Process;

use super::kin::{Kin, Word};
use super::{Fact, Scene, Threads};
use crate::Experiment;
use crate::cast::{Cast, Heard};
use crate::trace::{Kind, Lane, Mark, Recorder, Span, State, Trace, now_ns};
use crate::verdict::Figure;

/// No change of a process is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(1);

/// What /proc calls the state of a zombie.
pub(super) const ZOMBIE: char = 'Z';

/// A process whose main thread works for so long and ends, or joins its other thread before.
pub(super) fn main_ends(works: Duration, joins: bool) -> Result<Scene> {
    let mut cast = Cast::new(Threads::NAME);
    let number = cast.start("a process", &Kin::Main { works, joins })?;
    let (pid, mut thread, mut is_over) = (cast.pid(number), None, false);
    loop {
        match cast.listen()? {
            Heard::Word(_, Word::ThreadWorks(tid, at_ns)) => thread = Some((tid, at_ns)),
            Heard::Word(_, Word::ThreadIsOver) => is_over = true,
            Heard::Word(_, word) => bail!("a process said {word:?}"),
            Heard::End(_) => break,
        }
    }
    let (mut lanes, _) = cast.join()?;
    let (tid, began_ns) = thread.context("the thread of a process did not begin")?;
    let is_gone = state(tid).is_none();
    if !is_over {
        let end_ns = lanes[0].spans.last().map_or(began_ns, |span| span.end_ns).max(began_ns + 1);
        lanes.push(died(pid, tid, began_ns, end_ns));
    }
    let work = if is_over { "done" } else { "lost" };
    let claim = Fact::MainEnds { joins, is_over }.claim(is_over == joins && is_gone);
    Ok(Scene { trace: Trace::new(lanes), figures: vec![("work", Figure::Word(work.to_owned()))], claim })
}

/// The lane of a thread that could not hand its own over.
fn died(pid: i32, tid: i32, begin_ns: u64, end_ns: u64) -> Lane {
    let spans = vec![Span::new(State::Sleeping, "work", begin_ns, end_ns)];
    let marks = vec![Mark::new(end_ns, "died")];
    Lane { name: "its thread".to_owned(), kind: Kind::Thread, pid, tid: Some(tid), spans, marks }
}

/// A process that has ended, and is not asked for its status before `delay` has passed.
pub(super) fn zombie(delay: Duration) -> Result<Scene> {
    let mut me = Recorder::thread("main");
    let mut cast = Cast::new(Threads::NAME);
    let number = cast.start("child", &Kin::ShortLived)?;
    let pid = cast.pid(number);
    me.enter_with(State::Blocked, "until the child has ended");
    let Heard::End(_) = cast.listen::<Word>()? else { bail!("the child has something to say") };
    wait_until("a process that has ended is a zombie", || is_zombie(pid).then_some(()))?;
    me.enter_with(State::Sleeping, "does not ask");
    thread::sleep(delay);
    // Still, and for as long as nobody asks.
    let was_zombie = is_zombie(pid);
    me.enter_with(State::Running, "asks");
    let (mut lanes, _) = cast.join()?;
    let reaped_ns = now_ns();
    let is_left = state(pid).is_some();
    if let Some(begin_ns) = lanes[0].spans.last().map(|span| span.end_ns) {
        let end_ns = reaped_ns.max(begin_ns + 1);
        lanes[0].spans.push(Span::new(State::Done, "zombie", begin_ns, end_ns));
        lanes[0].marks.push(Mark::new(end_ns, "reaped"));
    }
    let left_ns = lanes[0].total_ns(State::Done);
    let claim = Fact::Zombie { was_zombie, left_ns, is_left }.claim(was_zombie && !is_left);
    lanes.insert(0, me.end());
    let figures = vec![("zombie", Figure::Time(left_ns)), ("left", Figure::count(usize::from(is_left)))];
    Ok(Scene { trace: Trace::new(lanes), figures, claim })
}

/// While this lives, who loses his parent becomes a child of the lab instead of process 1, which in
/// a container may not reap.
pub(super) struct Adopter(());

impl Adopter {
    pub(super) fn begin() -> Result<Self> {
        set_child_subreaper(true).context("cannot adopt orphans")?;
        Ok(Self(()))
    }
}

impl Drop for Adopter {
    fn drop(&mut self) {
        // It cannot fail for a process's own flag.
        let _ = set_child_subreaper(false);
    }
}

/// A process whose parent is killed; after `delay` it is let end, and reaped.
pub(super) fn orphan(delay: Duration) -> Result<Scene> {
    let adopter = Adopter::begin()?;
    let mut cast = Cast::new(Threads::NAME);
    let number = cast.start("parent", &Kin::Parent)?;
    let Heard::Word(_, Word::ChildLives(pid, started_ns)) = cast.listen()? else {
        bail!("the parent does not tell of its child");
    };
    let mut child = Recorder::process("its child", pid, started_ns);
    child.enter_with(State::Blocked, "child of its parent");
    let before = parent(pid);
    cast.kill(number)?;
    let Heard::End(_) = cast.listen::<Word>()? else { bail!("the parent has more to say") };
    let lab = getpid().as_raw();
    let after =
        wait_until("an orphan has another parent", || parent(pid).filter(|now| Some(*now) != before))?;
    child.enter_with(State::Blocked, "orphan");
    child.mark("adopted");
    thread::sleep(delay);
    let lived_on = state(pid).is_some_and(|state| state != ZOMBIE);
    cast.hang_up(number);
    wait_until("the orphan has ended", || is_zombie(pid).then_some(()))?;
    child.enter_with(State::Done, "zombie");
    let status = reap(pid)?;
    child.mark("reaped");
    drop(adopter);
    let (parents, is_left) = (cast.pid(number), state(pid).is_some());
    let child = child.end();
    let (mut lanes, _) = cast.join()?;
    lanes.push(child);
    let is_right = before == Some(parents) && after == lab && lived_on;
    let is_reaped = status == WaitStatus::Exited(Pid::from_raw(pid), 0) && !is_left;
    let fact = Fact::Orphan { parent: parents, after, is_lab: after == lab, is_left };
    let claim = fact.claim(is_right && is_reaped);
    let figures = vec![
        ("parent", Figure::Word(before.map_or_else(|| "none".to_owned(), |pid| pid.to_string()))),
        ("then", Figure::Word(after.to_string())),
        ("left", Figure::count(usize::from(is_left))),
    ];
    Ok(Scene { trace: Trace::new(lanes), figures, claim })
}

/// Takes the status of a child that has ended.
pub(super) fn reap(pid: i32) -> Result<WaitStatus> {
    wait_until("the orphan is reaped", || match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) => None,
        other => Some(other.context("cannot reap an orphan")),
    })?
}

/// The state letter of a process or thread; `None` if there is none.
pub(super) fn state(pid: i32) -> Option<char> {
    Process::new(pid).and_then(|process| process.stat()).ok().map(|stat| stat.state)
}

pub(super) fn is_zombie(pid: i32) -> bool {
    state(pid) == Some(ZOMBIE)
}

fn parent(pid: i32) -> Option<i32> {
    Process::new(pid).and_then(|process| process.stat()).ok().map(|stat| stat.ppid)
}

pub(super) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            bail!("waited for {PATIENCE:?} until {what}");
        }
        thread::sleep(LOOK);
    }
}
