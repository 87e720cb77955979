//! When a load begins, so that many clients begin together.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use serving::options::parse_duration;

use super::StopHandle;

/// How often a moment or a file is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// When the load begins, once all connections are open; at once by default.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct Start {
    /// Connect at once, then wait for this moment: RFC 3339 (2026-01-31T12:00:00Z) or Unix seconds
    #[arg(long, value_name = "MOMENT", value_parser = parse_moment, help_heading = "Time")]
    pub start_at: Option<SystemTime>,

    /// Connect at once, and begin this long after the client was started
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Time")]
    pub start_in: Option<Duration>,

    /// Connect at once, then wait until this file is there
    #[arg(long, value_name = "FILE", help_heading = "Time")]
    pub start_when: Option<PathBuf>,
}

impl Start {
    /// Waits for the moment, or for a stop. Returns how late the load is, if it has to be on time.
    pub fn wait(&self, started: Instant, stop: &StopHandle) -> Option<Duration> {
        loop {
            // Looked at often, since this clock may be set meanwhile.
            let left = match self {
                Self { start_at: Some(moment), .. } => moment.duration_since(SystemTime::now()).ok(),
                Self { start_in: Some(delay), .. } => delay.checked_sub(started.elapsed()),
                Self { start_when: Some(file), .. } => (!file.exists()).then_some(LOOK),
                _ => None,
            };
            let Some(left) = left.filter(|left| !left.is_zero() && !stop.is_stopped()) else { break };
            stop.wait(left.min(LOOK));
        }
        match self {
            Self { start_at: Some(moment), .. } => SystemTime::now().duration_since(*moment).ok(),
            Self { start_in: Some(delay), .. } => started.elapsed().checked_sub(*delay),
            _ => None,
        }
    }
}

/// Reads a moment: RFC 3339, or seconds since 1970 began.
pub(super) fn parse_moment(text: &str) -> Result<SystemTime, String> {
    let unix = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let moment = match unix {
        Some(since) => SystemTime::UNIX_EPOCH.checked_add(since),
        None => humantime::parse_rfc3339_weak(text).ok(),
    };
    moment.ok_or_else(|| "takes a moment, such as 2026-01-31T12:00:00Z or 1769860800".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_waits_for_its_moment_its_delay_or_its_file() {
        let (begun, stop) = (Instant::now(), StopHandle::default());
        assert_eq!(Start::default().wait(begun, &stop), None);
        let past = Start { start_at: Some(SystemTime::UNIX_EPOCH), ..Start::default() };
        assert!(past.wait(begun, &stop).unwrap() > Duration::from_secs(1_000_000));
        let delay = Duration::from_millis(30);
        let soon = Start { start_in: Some(delay), ..Start::default() };
        assert!(soon.wait(begun, &stop).is_some() && begun.elapsed() >= delay);
        let file = tempfile::NamedTempFile::new().unwrap();
        let when = Start { start_when: Some(file.path().to_owned()), ..Start::default() };
        assert_eq!(when.wait(begun, &stop), None);
        let never = Start { start_when: Some("/nowhere/begin".into()), ..Start::default() };
        stop.stop();
        assert_eq!(never.wait(begun, &stop), None, "a stop ends it");
    }
}
