//! Conditions on a result, such as `p99>5ms`: for scripts that must notice when one holds.

use std::fmt;
use std::time::Duration;

use serving::options::parse_duration;

use super::quantity::parse_rate;
use super::results::Results;
use crate::latency::PERCENTILES;
use crate::units;

/// A condition on the result of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    metric: Metric,
    is_above: bool,
    with_equal: bool,
    bound: f64,
    text: String,
}

/// What a condition is on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Metric {
    /// A percentile of the response times, from 0 to 1.
    Response(f64),
    Mean,
    Rate,
    Requests,
    Errors,
    Unanswered,
}

/// The names of what a condition can be on, beside the percentiles that are shown.
const OTHERS: [(&str, Metric); 6] = [
    ("max", Metric::Response(1.0)),
    ("mean", Metric::Mean),
    ("rate", Metric::Rate),
    ("requests", Metric::Requests),
    ("errors", Metric::Errors),
    ("unanswered", Metric::Unanswered),
];

/// What a condition can be on, with its names.
fn metrics() -> impl Iterator<Item = (&'static str, Metric)> {
    PERCENTILES.map(|(name, quantile)| (name, Metric::Response(quantile))).into_iter().chain(OTHERS)
}

impl Metric {
    fn is_time(self) -> bool {
        matches!(self, Self::Response(_) | Self::Mean)
    }

    /// In nanoseconds if it is a time; `None` where nothing was answered.
    fn of(self, results: &Results) -> Option<f64> {
        let response = &results.response;
        match self {
            Self::Response(_) | Self::Mean if response.is_empty() => None,
            Self::Response(quantile) => Some(response.value_at_quantile(quantile) as f64),
            Self::Mean => Some(response.mean()),
            Self::Rate => Some(results.rate()),
            Self::Requests => Some(results.requests as f64),
            Self::Errors => Some(results.errors.total() as f64),
            Self::Unanswered => Some(results.unanswered as f64),
        }
    }
}

impl Limit {
    /// Whether the condition holds; a time that nobody could measure is longer than any bound.
    pub fn holds(&self, results: &Results) -> bool {
        let value = self.metric.of(results).unwrap_or(f64::INFINITY);
        let beyond = if self.is_above { value > self.bound } else { value < self.bound };
        beyond || (self.with_equal && value == self.bound)
    }

    /// The value that the condition is on, for a person.
    pub fn value(&self, results: &Results) -> String {
        match self.metric.of(results) {
            None => "unknown, since nothing was answered".to_owned(),
            Some(value) if self.metric.is_time() => units::time(value),
            Some(value) if self.metric == Metric::Rate => format!("{} per second", units::rate(value)),
            Some(value) => units::whole(value),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a condition, such as `p99>5ms`, `errors>0` or `rate<1000`.
///
/// # Errors
/// A line that says what the option takes.
pub(super) fn parse_limit(text: &str) -> Result<Limit, String> {
    let read = || {
        let place = text.find(['<', '>'])?;
        let (name, rest) = text.split_at(place);
        let is_above = rest.starts_with('>');
        let value = rest[1..].strip_prefix('=');
        let with_equal = value.is_some();
        let value = value.unwrap_or(&rest[1..]).trim();
        let (_, metric) = metrics().find(|(known, _)| *known == name.trim())?;
        let bound = if metric.is_time() {
            parse_duration(value).ok().map(|time: Duration| time.as_nanos() as f64)
        } else if value == "0" {
            Some(0.0)
        } else {
            parse_rate(value).ok()
        };
        Some(Limit { metric, is_above, with_equal, bound: bound?, text: text.to_owned() })
    };
    read().ok_or_else(|| {
        let names: Vec<&str> = metrics().map(|(name, _)| name).collect();
        format!(
            "takes a condition such as 'p99>5ms', 'errors>0' or 'rate<1000'; it can be on {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_condition_is_on_what_it_names() {
        let mut results = Results::new(SystemTime::now(), Duration::from_secs(2), false);
        results.requests = 1000;
        results.response.record_n(4_000_000, 1000).unwrap();
        let holds = |text: &str| parse_limit(text).unwrap().holds(&results);
        for (text, expected) in [
            ("p99>5ms", false),
            ("p99 > 3ms", true),
            ("p99.9<5ms", true),
            ("max>=1s", false),
            ("errors>0", false),
            ("errors>=0", true),
            ("rate<500", false),
            ("rate<=500", true),
            ("requests<1k", false),
            ("unanswered>0", false),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
        assert_eq!(parse_limit("rate<1").unwrap().value(&results), "500 per second");
        let nothing = Results::new(SystemTime::now(), Duration::from_secs(2), false);
        assert!(parse_limit("p99>5ms").unwrap().holds(&nothing));
        assert!(!parse_limit("p99<5ms").unwrap().holds(&nothing));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for nonsense in ["", "p99", "p99>", "p99>5", "p98>5ms", "errors>5ms", "errors=0", ">5ms", "rate<-1"] {
            assert!(parse_limit(nonsense).is_err_and(|error| !error.contains('\n')), "{nonsense:?}");
        }
    }
}
