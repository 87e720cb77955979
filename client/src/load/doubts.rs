//! When not to believe a result.

use std::fmt;
use std::time::Duration;

use super::options::LoadOptions;
use super::results::Results;
use crate::latency::{LEAST_BEYOND, PERCENTILES, is_vague, seconds};
use crate::units::{counted, grouped};

/// A measurement shorter than this says little.
const SHORT: Duration = Duration::from_secs(1);

/// From this share of its threads' time on, the generator may be what limits the rate.
const BUSY: f64 = 0.9;

/// The share of the target rate that must be reached.
const REACHED: f64 = 0.99;

/// How much later than it should the load may begin.
const LATE: Duration = Duration::from_millis(100);

/// A reason not to believe a result, or to read it with care.
#[derive(Debug, Clone, PartialEq)]
pub enum Doubt {
    /// The generator was compiled without optimisation.
    DebugBuild,
    /// The measurement was short.
    Short(Duration),
    /// The measurement ended before the duration that was asked for.
    EndedEarly(Duration),
    /// Nothing was answered.
    NothingAnswered,
    /// Too few samples for this percentile, and all above it.
    FewSamples(&'static str),
    /// The generator used this share of its threads' time, from 0 to 1.
    GeneratorBusy(f64),
    /// This rate was reached, instead of that one.
    RateMissed(f64, f64),
    /// So many requests were not answered even in the time after the end.
    Unanswered(u64),
    /// So many attempts to connect failed for want of a local port or a descriptor.
    Lack(u64),
    /// The load began so much later than it should have.
    StartedLate(Duration),
    /// On so many connections nothing was answered.
    Unserved(u64),
    /// This many requests were to be answered, and that many were.
    CountMissed(u64, u64),
    /// A CPU quota held the generator back in so many of that many periods.
    Throttled(u64, u64),
}

impl Doubt {
    /// A name for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DebugBuild => "debug_build",
            Self::Short(_) => "short",
            Self::EndedEarly(_) => "ended_early",
            Self::NothingAnswered => "nothing_answered",
            Self::FewSamples(_) => "few_samples",
            Self::GeneratorBusy(_) => "generator_busy",
            Self::RateMissed(..) => "rate_missed",
            Self::Unanswered(_) => "unanswered",
            Self::Lack(_) => "lack",
            Self::StartedLate(_) => "started_late",
            Self::Unserved(_) => "unserved",
            Self::CountMissed(..) => "count_missed",
            Self::Throttled(..) => "throttled",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DebugBuild => {
                f.write_str("this is a debug build, so the figures mean nothing: use cargo --release")
            }
            Self::Short(elapsed) => {
                write!(
                    f,
                    "{} are too short for steady figures: measure longer (--duration)",
                    seconds(*elapsed)
                )
            }
            Self::EndedEarly(elapsed) => {
                write!(
                    f,
                    "the measurement ended early, after {}: it was stopped, or all connections were lost",
                    seconds(*elapsed)
                )
            }
            Self::NothingAnswered => f.write_str("nothing was answered: there is no result"),
            Self::FewSamples(percentile) => write!(
                f,
                "fewer than {LEAST_BEYOND} samples lie beyond {percentile}: measure longer (--duration)"
            ),
            Self::GeneratorBusy(share) => write!(
                f,
                "the generator used {:.0} % of its threads' time, so it may be the limit: give it more --threads",
                share * 100.0
            ),
            Self::RateMissed(wanted, reached) => write!(
                f,
                "{reached:.1} requests/s are less than the {wanted:.1} that were asked for: \
                 the server, the connections or the generator cannot keep up"
            ),
            Self::Unanswered(count) => {
                write!(f, "{count} requests were not answered, so the slowest response times are missing")
            }
            Self::Lack(count) => write!(
                f,
                "{count} attempts to connect found no free local port or descriptor, so this machine was the limit: \
                 give more addresses (--source)"
            ),
            Self::StartedLate(late) => {
                write!(f, "the load began {} too late: start the client earlier", seconds(*late))
            }
            Self::Unserved(count) => write!(
                f,
                "{} got no answer at all: the server may serve fewer clients at a time than were connected",
                counted(*count, "connection")
            ),
            Self::CountMissed(wanted, reached) => write!(
                f,
                "only {} of {} were answered: the time was over first (--duration)",
                grouped(*reached),
                counted(*wanted, "request")
            ),
            Self::Throttled(held, periods) => write!(
                f,
                "a CPU quota held the generator back in {held} of {periods} periods: give its control group more"
            ),
        }
    }
}

impl Results {
    /// The reasons not to believe this result of a load with these options.
    pub fn doubts(&self, options: &LoadOptions) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        let mut doubt = |holds: bool, doubt: Doubt| doubts.extend(holds.then_some(doubt));
        doubt(cfg!(debug_assertions), Doubt::DebugBuild);
        let cut = options.requests.is_none() && self.elapsed.mul_f64(1.01) < options.length();
        doubt(cut, Doubt::EndedEarly(self.elapsed));
        doubt(self.elapsed < SHORT && !cut, Doubt::Short(self.elapsed));
        doubt(self.response.is_empty(), Doubt::NothingAnswered);
        let count = self.response.len();
        if let Some((name, _)) = PERCENTILES.iter().find(|(_, quantile)| is_vague(count, *quantile)) {
            doubt(count > 0, Doubt::FewSamples(name));
        }
        doubt(self.cpu_share() > BUSY, Doubt::GeneratorBusy(self.cpu_share()));
        if let Some(schedule) = options.schedule(0, true, options.requests) {
            let wanted = schedule.count_by(self.elapsed.as_nanos() as f64);
            // One request more or less is no miss: it may be due at the very end.
            let least = (wanted * REACHED - 1.0).max(0.0);
            let per_second = wanted / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
            doubt((self.requests as f64) < least, Doubt::RateMissed(per_second, self.rate()));
        }
        let (answered, wanted) = (self.requests + self.late, options.requests.unwrap_or_default());
        doubt(answered < wanted && !self.response.is_empty(), Doubt::CountMissed(wanted, answered));
        doubt(self.unserved > 0 && !self.response.is_empty(), Doubt::Unserved(self.unserved));
        let throttled = self.throttled;
        doubt(throttled.throttled > 0, Doubt::Throttled(throttled.throttled, throttled.periods));
        doubt(self.unanswered > 0, Doubt::Unanswered(self.unanswered));
        let lack = self.errors.no_port + self.errors.no_descriptor;
        doubt(lack > 0, Doubt::Lack(lack));
        let late = self.start_delay.unwrap_or_default();
        doubt(late > LATE, Doubt::StartedLate(late));
        doubts
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn each_doubt_is_raised_by_its_cause_alone() {
        let options = LoadOptions::new("127.0.0.1:1".parse().unwrap());
        let good = || {
            let mut results = Results::new(SystemTime::now(), options.duration, false);
            (results.threads, results.requests) = (1, 200_000);
            results.response.record_n(1_000, 200_000).unwrap();
            results
        };
        let kinds = |results: &Results, options: &LoadOptions| {
            let all = results.doubts(options).into_iter().map(|doubt| doubt.kind());
            all.filter(|kind| *kind != "debug_build").collect::<Vec<_>>()
        };
        assert!(kinds(&good(), &options).is_empty());
        let with = |change: fn(&mut Results, &mut LoadOptions)| {
            let (mut results, mut options) = (good(), options.clone());
            change(&mut results, &mut options);
            kinds(&results, &options)
        };
        assert_eq!(with(|results, _| results.cpu = results.elapsed.mul_f64(0.95)), ["generator_busy"]);
        assert_eq!(with(|results, _| results.unanswered = 1), ["unanswered"]);
        assert_eq!(with(|results, _| results.errors.no_port = 1), ["lack"]);
        assert_eq!(with(|_, options| options.rate = Some(20_300.0)), ["rate_missed"]);
        assert!(with(|_, options| options.rate = Some(20_100.0)).is_empty());
        assert_eq!(with(|results, _| results.elapsed /= 2), ["ended_early"]);
        assert_eq!(with(|results, _| results.start_delay = Some(Duration::from_secs(1))), ["started_late"]);
        assert_eq!(with(|results, _| results.unserved = 1), ["unserved"]);
        assert_eq!(with(|_, options| options.requests = Some(200_001)), ["count_missed"]);
        assert_eq!(with(|results, _| results.throttled.throttled = 1), ["throttled"]);
        assert_eq!(
            with(|results, options| {
                options.duration = Duration::from_millis(10);
                results.elapsed = options.duration;
            }),
            ["short"]
        );
        assert_eq!(with(|results, _| results.response.reset()), ["nothing_answered"]);
    }
}
