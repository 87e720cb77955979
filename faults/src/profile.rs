//! Which calls a server makes at all, and in which phase: found by one run in which nothing fails.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::row::Phase;
use crate::scene::{self, Cast};
use crate::server::{End, Server};
use crate::subject::Subject;
use crate::table::CALLS;
use crate::tracer;

/// The call in strace's log with which a server says that it listens.
const LISTENS: &str = "write(1, \"listening on";

/// How often each call is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// By the first thread, before the server's own first call.
    before: HashMap<String, u32>,
    /// The most that one thread makes in that phase.
    most: HashMap<(Phase, String), u32>,
}

impl Profile {
    /// How many of this call the server's first thread makes before its own first one.
    pub fn before(&self, call: &str) -> u32 {
        self.before.get(call).copied().unwrap_or(0)
    }

    /// The most of this call that one thread makes in that phase.
    pub fn most(&self, phase: Phase, call: &str) -> u32 {
        self.most.get(&(phase, call.to_owned())).copied().unwrap_or(0)
    }

    /// Whether the call is ever made.
    pub fn calls(&self, call: &str) -> bool {
        [Phase::Start, Phase::Serve, Phase::Stop].into_iter().any(|phase| self.most(phase, call) > 0)
    }

    /// Lets the server of these options serve so many questions, and counts its calls.
    ///
    /// # Errors
    /// If it fails although nothing is made to fail.
    pub fn take(subject: &Subject, options: &[String], questions: u32, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("profile-{}", subject.name));
        let calls: Vec<_> = CALLS.iter().map(|call| call.name).chain(["prctl", "write"]).collect();
        let mut server = Server::start(subject, options, &tracer::record(&log, &calls.join(",")))?;
        let log_of = |server: &Server| server.log().join("\n");
        let address = server
            .address()
            .with_context(|| format!("{} does not start: {}", subject.name, log_of(&server)))?;
        let mut cast = Cast::new(address, subject, Duration::from_secs(10));
        cast.talk(questions);
        server.signal(Signal::SIGTERM);
        let end = server.wait_until(Instant::now() + Duration::from_secs(10));
        let bad = cast.take().into_iter().find(|said| *said != crate::client::Said::Served);
        ensure!(
            bad.is_none() && end == Some(End::Code(0)),
            "{} fails by itself: {bad:?}, {end:?}; {}",
            subject.name,
            log_of(&server)
        );
        let text =
            fs::read_to_string(&log).with_context(|| format!("strace has not written {}", log.display()))?;
        fs::remove_file(&log)?;
        ensure!(text.contains(LISTENS), "strace has not seen that {} listens", subject.name);
        Ok(Self::read(&text))
    }

    /// Reads strace's log. A server's own calls begin when it asks to die with its parent, or, for
    /// another program, with its first call.
    fn read(log: &str) -> Self {
        let mut profile = Self::default();
        let has_beginning = log.contains("prctl(PR_SET_PDEATHSIG");
        let mut phase = (!has_beginning).then_some(Phase::Start);
        let mut counts: HashMap<(Phase, &str, &str), u32> = HashMap::new();
        for line in log.lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start();
            if rest.starts_with("--- SIGTERM") {
                phase = phase.max(Some(Phase::Stop));
            }
            let Some((call, arguments)) = rest.split_once('(').filter(|_| !rest.starts_with('<')) else {
                continue;
            };
            match phase {
                None if call == "prctl" && arguments.starts_with("PR_SET_PDEATHSIG") => {
                    phase = Some(Phase::Start);
                }
                None => *profile.before.entry(call.to_owned()).or_default() += 1,
                Some(now) => *counts.entry((now, thread, call)).or_default() += 1,
            }
            if rest.starts_with(LISTENS) {
                phase = Some(Phase::Serve);
            }
        }
        for ((phase, _, call), count) in counts {
            let most = profile.most.entry((phase, call.to_owned())).or_default();
            *most = count.max(*most);
        }
        profile
    }
}

/// The options under which calls are looked for: each set that an experiment may use.
pub fn option_sets() -> [Vec<String>; 2] {
    [scene::options("accept4"), scene::options("timerfd_create")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_thread_and_phase() {
        let log = "7 mmap(NULL, 1) = 0\n7 prctl(PR_SET_PDEATHSIG, SIGKILL) = 0\n7 socket(AF_INET) = 3\n\
                   7 write(1, \"listening on 127.0.0.1:1\\n\", 2) = 2\n7 poll([{fd=3}], 1 <unfinished ...>\n\
                   8 recvfrom(4, \"a\") = 1\n9 recvfrom(5, \"a\") = 1\n9 recvfrom(5, \"\") = 0\n\
                   7 <... poll resumed>) = 1\n7 --- SIGTERM {si_signo=SIGTERM} ---\n7 poll([{fd=3}], 1) = 0\n";
        let profile = Profile::read(log);
        assert_eq!((profile.before("mmap"), profile.before("socket")), (1, 0));
        let most = |phase, call| profile.most(phase, call);
        assert_eq!((most(Phase::Start, "socket"), most(Phase::Serve, "socket")), (1, 0));
        assert_eq!((most(Phase::Serve, "recvfrom"), most(Phase::Stop, "recvfrom")), (2, 0));
        assert_eq!((most(Phase::Serve, "poll"), most(Phase::Stop, "poll")), (1, 1));
        assert!(profile.calls("poll") && !profile.calls("mmap"));
    }
}
