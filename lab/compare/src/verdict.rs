//! Whether two values differ, or only seem to: what lies within the spread of the rounds is a tie, and is never ranked.

use crate::metric::Value;

/// Two values closer than this share are a tie, however alike their rounds were: so few rounds say no more.
const LEAST_DIFFERENCE: f64 = 0.02;

/// How far apart the rounds of two values must lie, as a share of the wider of both ranges, for two, three and four rounds; from five
/// on it suffices that they do not overlap. Few rounds fall apart by chance: two and two of the same normal distribution in a third
/// of all cases, three and three in a tenth. With these distances it is 4, 2, 1 and 1 in a hundred (found by simulation).
const DISTANCES: [f64; 3] = [2.0, 0.5, 0.25];

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every round of the first was below every round of the second, and far enough for so few rounds.
    Less,
    /// Every round of the first was above every round of the second, and far enough for so few rounds.
    More,
    /// The rounds overlap or nearly do, or the difference is less than 2 %.
    Tie,
    /// One of them was measured once: nobody knows its spread.
    Unknown,
}

/// Compares `one` with `other`.
pub fn compare(one: &Value, other: &Value) -> Verdict {
    if one.rounds < 2 || other.rounds < 2 {
        return Verdict::Unknown;
    }
    let fewest = one.rounds.min(other.rounds);
    let wider = (one.high - one.low).max(other.high - other.low);
    let distance = wider * DISTANCES.get(fewest - 2).copied().unwrap_or(0.0);
    let larger = one.value.abs().max(other.value.abs());
    if (one.value - other.value).abs() < larger * LEAST_DIFFERENCE {
        Verdict::Tie
    } else if one.high + distance < other.low {
        Verdict::Less
    } else if one.low > other.high + distance {
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
        assert_eq!(compare(&value(110.0, 106.0, 116.0), &reference), Verdict::Tie);
        assert_eq!(compare(&value(120.0, 111.0, 121.0), &reference), Verdict::More);
        assert_eq!(compare(&value(80.0, 79.0, 89.0), &reference), Verdict::Less);
        assert_eq!(compare(&value(101.0, 101.0, 101.0), &value(100.0, 100.0, 100.0)), Verdict::Tie);
        // Two rounds must lie farther apart than three, and five need only lie apart.
        let rounds = |rounds, value: Value| Value { rounds, ..value };
        assert_eq!(compare(&rounds(2, value(120.0, 111.0, 121.0)), &rounds(2, reference)), Verdict::Tie);
        assert_eq!(compare(&rounds(5, value(110.0, 106.0, 116.0)), &rounds(5, reference)), Verdict::More);
        assert_eq!(compare(&Value { rounds: 1, ..reference }, &reference), Verdict::Unknown);
    }
}
