//! What is made of what was seen.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::client::Said;
use crate::observation::Observation;
use crate::row::{Phase, Row};
use crate::server::End;
use crate::table::Meaning;

/// A quiet server uses less CPU time than this in a second.
const MOST_QUIET_CPU: Duration = Duration::from_millis(200);

/// A server that pauses asks at most so often in a second, with all its processes: each does every
/// 100 ms.
const MOST_QUIET_CALLS: u64 = 100;

/// The same where connections break in the queue: some of them are skipped before the next pause.
const MOST_BROKEN: u64 = 3500;

/// What an experiment showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nobody noticed.
    Clean,
    /// Conversations ended that may: those whose calls failed.
    ClientLost,
    /// It said that it waits, and went on.
    Paused,
    /// It refused to start, with a line.
    Refused,
    /// It ended with a line, as it may where the kernel says that its own call was wrong.
    GaveUp,
    /// No call failed: there were fewer than expected.
    Unreached,
    /// It ended, or refused without a word.
    Died,
    /// A client was not served although nothing failed any more, or it did not begin to listen.
    Hung,
    /// It was busy while nothing was asked of it.
    Spun,
    /// A client received what is no answer.
    WrongBytes,
    /// A conversation ended whose calls did not fail.
    LostAnother,
    /// It did not stop in time, or not with exit code 0.
    SlowStop,
    /// A process of it was left when it had ended.
    LeftBehind,
    /// It logged more than three lines a second and process.
    LogFlood,
}

impl Verdict {
    /// Whether a server may behave so.
    pub fn is_good(self) -> bool {
        use Verdict::{Clean, ClientLost, GaveUp, Paused, Refused, Unreached};
        matches!(self, Clean | ClientLost | Paused | Refused | GaveUp | Unreached)
    }

    /// Whether it was found by a clock, which a busy machine can put wrong.
    pub fn is_a_matter_of_time(self) -> bool {
        matches!(self, Self::Hung | Self::Spun | Self::SlowStop | Self::LeftBehind | Self::LostAnother)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clean => "clean",
            Self::ClientLost => "client lost",
            Self::Paused => "paused",
            Self::Refused => "refused",
            Self::GaveUp => "gave up",
            Self::Unreached => "unreached",
            Self::Died => "died",
            Self::Hung => "hung",
            Self::Spun => "spun",
            Self::WrongBytes => "wrong bytes",
            Self::LostAnother => "lost another",
            Self::SlowStop => "slow stop",
            Self::LeftBehind => "left behind",
            Self::LogFlood => "log flood",
        })
    }
}

/// How many of the conversations during an experiment may end early.
fn may_be_lost(row: &Row, has_one_thread: bool) -> usize {
    match (row.ever, row.meaning()) {
        (true, _) => usize::MAX,
        // What the kernel has done by then, and did not tell, is lost.
        (false, Meaning::Misuse) if row.call == "io_uring_enter" => usize::MAX,
        // A server that hears that nobody waits asks again when the next client comes.
        (false, Meaning::Again) if row.call == "accept4" => 1,
        // Nobody's connection was touched: who waits is let in later.
        (false, Meaning::Again | Meaning::Peer | Meaning::Lack)
            if matches!(row.call, "accept4" | "poll" | "epoll_wait") =>
        {
            0
        }
        // Each thread's nth call fails, and each conversation is another's.
        (false, _) if !has_one_thread => usize::MAX,
        (false, _) => 1,
    }
}

/// Where a server may end without a line of its own, because what it stands on aborts. The book
/// says so.
fn runtime_aborts(row: &Row) -> bool {
    let is_tokio = row.server.starts_with("tokio");
    let has_threads = is_tokio || matches!(row.server.as_str(), "thread" | "pool" | "hybrid");
    match row.call {
        // The standard library wants a second stack for each thread, and aborts without one.
        "mmap" | "mprotect" => has_threads || row.phase == Phase::Start,
        // It asserts that a folder can be closed: /proc/self/task is read before a fork.
        "close" => row.phase == Phase::Start,
        // tokio panics where its event queue is gone.
        "epoll_wait" => is_tokio && row.meaning() == Meaning::Misuse,
        _ => false,
    }
}

/// Whether it was busy in the quiet second, and how.
fn spun(row: &Row, seen: &Observation) -> Option<String> {
    let skips = (row.call == "accept4" && row.meaning() == Meaning::Peer) || row.errno == "EPERM";
    let most_calls = if skips { MOST_BROKEN } else { MOST_QUIET_CALLS };
    let is_busy = seen.quiet_cpu > MOST_QUIET_CPU || seen.quiet_injected > most_calls;
    let (cpu, calls) = (seen.quiet_cpu, seen.quiet_injected);
    is_busy.then(|| format!("{cpu:?} of CPU time and {calls} failed calls in a quiet second"))
}

/// What was seen, judged: the worst first. `allowed` is how long a stop may take.
pub fn judge(row: &Row, seen: &Observation, has_one_thread: bool, allowed: Duration) -> (Verdict, String) {
    let said = |what: &str| match seen.last_words.as_str() {
        "" => what.to_owned(),
        words => format!("{what}; last words: {words}"),
    };
    let all = seen.conversations.iter().chain(&seen.afterwards);
    if let Some(wrong) = all.clone().find(|said| matches!(said, Said::Wrong(_))) {
        return (Verdict::WrongBytes, wrong.to_string());
    }
    if seen.log_lines > seen.most_log_lines {
        return (Verdict::LogFlood, format!("{} lines, and at most {}", seen.log_lines, seen.most_log_lines));
    }
    if !seen.listened {
        return match seen.ended_early {
            None => (Verdict::Hung, said("it did not listen")),
            Some(End::Code(1..)) if seen.error_lines == 1 => (Verdict::Refused, seen.last_words.clone()),
            Some(_) if runtime_aborts(row) => (Verdict::Refused, seen.last_words.clone()),
            Some(end) => (
                Verdict::Died,
                said(&format!("before it listened: {end:?}, {} error lines", seen.error_lines)),
            ),
        };
    }
    // A conversation's own socket is nothing that a server stands on.
    let may_give_up = row.meaning() == Meaning::Misuse && !row.of().is_of_a_conversation;
    let gave_up = |end: Option<End>| match end {
        Some(End::Code(1)) if seen.error_lines == 1 && may_give_up => true,
        Some(End::Code(101) | End::Signal(libc::SIGABRT)) => runtime_aborts(row),
        _ => false,
    };
    if let Some(end) = seen.ended_early {
        let verdict = if gave_up(Some(end)) { Verdict::GaveUp } else { Verdict::Died };
        return (verdict, said(&format!("{end:?}")));
    }
    if let Some(what) = spun(row, seen) {
        return (Verdict::Spun, what);
    }
    if let Some(not) = seen.afterwards.iter().find(|said| **said != Said::Served) {
        return (Verdict::Hung, said(&format!("when nothing failed any more: {not}")));
    }
    let lost = seen.conversations.iter().filter(|said| **said != Said::Served).count();
    if lost > may_be_lost(row, has_one_thread) {
        let first = seen.conversations.iter().find(|said| **said != Said::Served);
        return (
            Verdict::LostAnother,
            said(&format!("{lost} conversations, the first {}", first.unwrap_or(&Said::Stuck))),
        );
    }
    if seen.told_to_stop {
        let words = format!("{:?} after {:?}, of {allowed:?} allowed", seen.stopped, seen.stop_time);
        if gave_up(seen.stopped) && row.phase != Phase::Serve {
            return (Verdict::GaveUp, said(&words));
        }
        if seen.stopped != Some(End::Code(0)) || seen.stop_time > allowed {
            return (Verdict::SlowStop, said(&words));
        }
    }
    if seen.left_behind > 0 {
        return (Verdict::LeftBehind, format!("{} processes", seen.left_behind));
    }
    let verdict = match seen.conversations.iter().any(|said| matches!(said, Said::Lost(_))) {
        _ if seen.injected == 0 => Verdict::Unreached,
        true => Verdict::ClientLost,
        false if seen.paused || lost > 0 => Verdict::Paused,
        _ => Verdict::Clean,
    };
    (verdict, String::new())
}

#[cfg(test)]
mod tests;
