//! Whether two values differ, or only seem to: by the interval of their ratio, see [`interval`].

use crate::interval::{self, Interval};
use crate::value::Value;

/// Two values closer than this share are a tie, however alike their rounds were.
const LEAST_DIFFERENCE: f64 = 0.02;

/// Where the interval of a ratio contains 1, and its ends are this far apart, it is no tie: too
/// little is known.
const MOST_OF_A_TIE: f64 = 1.5;

/// Rounds that are this far apart are not to be believed, so they are not ranked.
const MOST_SPREAD: f64 = 4.0;

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The first is less.
    Less,
    /// The first is more.
    More,
    /// Nobody can tell them apart, and if they differ, then by little; or they do by less than 2 %.
    Tie,
    /// One of them was measured once: nobody knows its spread.
    Unknown,
    /// The rounds differ so much that they can tell nothing.
    TooNoisy,
}

/// Compares `one` with `other`, which were measured in the same rounds.
pub fn compare(one: &Value, other: &Value) -> Difference {
    judge(one, other, ratio(one, other), interval::difference(&one.each, &other.each))
}

/// Compares `now` with `then`, which were measured in two runs.
pub fn compare_runs(now: &Value, then: &Value) -> Difference {
    let ratio = interval::unpaired_ratio(&now.each, &then.each);
    judge(now, then, ratio, interval::unpaired_difference(&now.each, &then.each))
}

/// The ratio of `one` to `other`, which were measured in the same rounds.
pub fn ratio(one: &Value, other: &Value) -> Option<Interval> {
    interval::ratio(&one.each, &other.each)
}

fn judge(one: &Value, other: &Value, ratio: Option<Interval>, difference: Option<Interval>) -> Difference {
    if one.each.len() < 2 || other.each.len() < 2 {
        return Difference::Unknown;
    }
    if is_wild(one) || is_wild(other) {
        return Difference::TooNoisy;
    }
    match (ratio, difference) {
        (Some(ratio), _) if (ratio.value - 1.0).abs() < LEAST_DIFFERENCE && ratio.contains(1.0) => {
            if ratio.high / ratio.low > MOST_OF_A_TIE { Difference::TooNoisy } else { Difference::Tie }
        }
        (Some(ratio), _) if (ratio.value - 1.0).abs() < LEAST_DIFFERENCE => Difference::Tie,
        (Some(ratio), _) if ratio.low > 1.0 => Difference::More,
        (Some(ratio), _) if ratio.high < 1.0 => Difference::Less,
        (Some(ratio), _) if ratio.high / ratio.low > MOST_OF_A_TIE => Difference::TooNoisy,
        (Some(_), _) => Difference::Tie,
        // What can be nothing, or less, has no ratio.
        (None, Some(difference)) if difference.low > 0.0 => Difference::More,
        (None, Some(difference)) if difference.high < 0.0 => Difference::Less,
        (None, Some(_)) => Difference::Tie,
        (None, None) => Difference::Unknown,
    }
}

fn is_wild(value: &Value) -> bool {
    value.low > 0.0 && value.high / value.low > MOST_SPREAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(each: &[f64]) -> Value {
        let (low, high) =
            each.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        Value { value: each[each.len() / 2], low, high, each: each.to_vec() }
    }

    #[test]
    fn what_cannot_be_told_apart_is_a_tie_and_one_round_says_nothing() {
        let reference = value(&[95.0, 100.0, 105.0]);
        assert_eq!(compare(&value(&[97.0, 100.0, 103.0]), &reference), Difference::Tie);
        assert_eq!(compare(&value(&[115.0, 120.0, 125.0]), &reference), Difference::More);
        assert_eq!(compare(&value(&[75.0, 80.0, 85.0]), &reference), Difference::Less);
        assert_eq!(compare(&value(&[101.0, 101.0, 101.0]), &value(&[100.0, 100.0, 100.0])), Difference::Tie);
        assert_eq!(compare(&value(&[100.0]), &reference), Difference::Unknown);
        assert_eq!(compare(&value(&[60.0, 100.0, 180.0]), &reference), Difference::TooNoisy);
        assert_eq!(compare(&value(&[10.0, 100.0, 800.0]), &value(&[1.0, 2.0, 3.0])), Difference::TooNoisy);
    }

    /// Rounds that do not overlap were called a tie, because they lay too near for their width.
    #[test]
    fn three_noisy_rounds_that_lie_apart_are_ranked() {
        let (fork, uring) = (value(&[2903.0, 3200.0, 3681.0]), value(&[7023.0, 9800.0, 14_566.0]));
        assert_eq!(compare(&uring, &fork), Difference::More);
        let ratio = ratio(&uring, &fork).unwrap();
        assert!(ratio.low > 1.5 && ratio.high < 6.0, "{ratio:?}");
        // Whatever the order in which they came.
        let uring = value(&[14_566.0, 7023.0, 9800.0]);
        assert!(matches!(compare(&uring, &fork), Difference::More | Difference::TooNoisy));
    }

    #[test]
    fn what_can_be_negative_is_compared_by_its_difference() {
        assert_eq!(compare(&value(&[5.0, 6.0, 7.0]), &value(&[-1.0, 0.0, 1.0])), Difference::More);
        assert_eq!(compare(&value(&[-2.0, 0.0, 3.0]), &value(&[-1.0, 0.0, 1.0])), Difference::Tie);
    }

    #[test]
    fn two_runs_are_not_paired() {
        let (then, now) = (value(&[100.0, 105.0, 95.0]), value(&[150.0, 160.0, 145.0]));
        assert_eq!(compare_runs(&now, &then), Difference::More);
        assert_eq!(compare_runs(&value(&[100.0, 106.0, 96.0]), &then), Difference::Tie);
    }
}
