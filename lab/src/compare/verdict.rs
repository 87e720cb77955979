//! Whether two values differ, or only seem to: what lies within the spread of the rounds is a tie, and is never ranked.

use crate::compare::metric::Value;

/// Two values closer than this share are a tie, however alike their rounds were: so few rounds say no more.
const LEAST_DIFFERENCE: f64 = 0.02;

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every round of the first was below every round of the second.
    Less,
    /// Every round of the first was above every round of the second.
    More,
    /// The rounds overlap, or the difference is less than 2 %.
    Tie,
    /// One of them was measured once: nobody knows its spread.
    Unknown,
}

/// Compares `one` with `other`.
pub fn compare(one: &Value, other: &Value) -> Verdict {
    if one.rounds < 2 || other.rounds < 2 {
        return Verdict::Unknown;
    }
    let larger = one.value.abs().max(other.value.abs());
    if (one.value - other.value).abs() < larger * LEAST_DIFFERENCE {
        Verdict::Tie
    } else if one.high < other.low {
        Verdict::Less
    } else if one.low > other.high {
        Verdict::More
    } else {
        Verdict::Tie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value: f64, low: f64, high: f64) -> Value {
        Value { value, low, high, rounds: 3 }
    }

    #[test]
    fn what_overlaps_or_hardly_differs_is_a_tie_and_one_round_says_nothing() {
        let reference = value(100.0, 95.0, 105.0);
        assert_eq!(compare(&value(110.0, 104.0, 116.0), &reference), Verdict::Tie);
        assert_eq!(compare(&value(120.0, 106.0, 130.0), &reference), Verdict::More);
        assert_eq!(compare(&value(80.0, 70.0, 94.0), &reference), Verdict::Less);
        assert_eq!(compare(&value(101.0, 101.0, 101.0), &value(100.0, 100.0, 100.0)), Verdict::Tie);
        assert_eq!(compare(&Value { rounds: 1, ..reference }, &reference), Verdict::Unknown);
    }
}
