//! The real thing: the same work in Python, in its threads and in its processes, for machines that
//! have one.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use harness::leash;
use nix::unistd::getpid;
use serde::Deserialize;

use super::ran::Ran;
use super::way::Way;
use super::work::{self, COMPUTING, PRIME, Work};
use crate::trace::{Kind, Lane, Span, State, Trace};

/// The program; it prints what it did.
const SCRIPT: &str = include_str!("real.py");

/// No Python is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// What the program prints.
#[derive(Deserialize)]
struct Printed {
    has_lock: bool,
    begin_ns: u64,
    end_ns: u64,
    workers: Vec<Worker>,
}

/// Name, pid, thread id, begin, end, the remainder of the product, and the turns in which it was
/// computed.
type Worker = (String, i32, i32, u64, u64, u64, Vec<(u64, u64)>);

/// Whether there is a Python of this name that runs.
pub(super) fn exists(python: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", ""]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A Python whose threads do without the lock (PEP 703): the first of these that is one.
pub(super) fn free<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const HAS_NO_LOCK: &str = "import sys; sys.exit(getattr(sys, '_is_gil_enabled', lambda: True)())";
    names.into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", HAS_NO_LOCK]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// Has `count` workers of a Python do it, as `threads` or `processes`.
///
/// # Errors
/// If it fails, or does not end.
pub(super) fn run(python: &str, way: Way, how: &str, count: usize, share: Work) -> Result<Ran> {
    let (kind, size) = match share {
        Work::Compute(n) => ("compute", u128::from(n)),
        Work::Wait(time) => ("wait", time.as_nanos()),
    };
    let parent = getpid().to_string();
    let numbers = [count as u128, size, PRIME.into()].map(|number| number.to_string());
    let program = ["leash", &parent, "--", python, "-c", SCRIPT, kind, how];
    let mut command = leash::this_program(&program);
    command.args(numbers).stdin(Stdio::null()).stdout(Stdio::piped());
    let printed = output(command).with_context(|| format!("{python} cannot do it in {how}"))?;
    let printed: Printed = serde_json::from_str(&printed).context("cannot understand python")?;
    ensure!(printed.workers.len() == count, "{} of {count} python {how} did it", printed.workers.len());
    let mut lanes = Vec::new();
    let has_lock = how == "threads" && printed.has_lock;
    for (name, pid, tid, begin_ns, end_ns, remainder, turns) in printed.workers {
        let spans = match share {
            Work::Compute(n) => {
                work::check(n, remainder)?;
                computing(&turns, has_lock)
            }
            Work::Wait(_) => vec![Span::new(State::Sleeping, "", begin_ns, end_ns.max(begin_ns + 1))],
        };
        let kind = if how == "threads" { Kind::Thread } else { Kind::Process };
        lanes.push(Lane { name, kind, pid, tid: Some(tid), spans, marks: Vec::new() });
    }
    let time_ns = printed.end_ns.saturating_sub(printed.begin_ns);
    Ok(Ran { time_ns, has_lock, ..Ran::new(way, Trace::new(lanes), None) })
}

/// The turns of one worker, and between them its waits: for the lock and a processor where there is
/// a lock, and else for a processor alone, since it computes and waits for nothing.
fn computing(turns: &[(u64, u64)], has_lock: bool) -> Vec<Span> {
    let (state, pause) =
        if has_lock { (State::Holding, State::Waiting) } else { (State::Running, State::Ready) };
    let mut spans: Vec<Span> = Vec::new();
    for (begin_ns, end_ns) in turns {
        if let Some(before) = spans.last().map(|span| span.end_ns).filter(|before| before < begin_ns) {
            spans.push(Span::new(pause, "", before, *begin_ns));
        }
        if begin_ns < end_ns {
            let what = if has_lock { "" } else { COMPUTING };
            // It has looked often: what it was ready for longer than a moment is told apart.
            spans.push(Span { ready_ns: Some(0), ..Span::new(state, what, *begin_ns, *end_ns) });
        }
    }
    spans
}

/// What a program prints; it is killed if it does not end.
fn output(mut command: Command) -> Result<String> {
    let mut child = command.spawn().context("cannot start it")?;
    let mut stdout = child.stdout.take().context("it has no stdout")?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            // Its processes die with it, and with them the reader's pipe.
            child.kill()?;
            child.wait()?;
            bail!("it does not end within {PATIENCE:?}");
        }
        thread::sleep(LOOK);
    };
    ensure!(status.success(), "it ended with {status}");
    let Ok(text) = reader.join() else { bail!("a reader panicked") };
    text.context("cannot read what it prints")
}
