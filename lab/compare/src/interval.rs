//! How sure a figure is: Student's t interval, 95 %, of the mean of a few rounds, or of the ratio
//! of two servers' rounds.
//!
//! Rounds are interleaved, so those with one number met the same mood of the machine: they are
//! paired. What is positive is compared by the logarithm of each pair's ratio, since noise
//! multiplies: the interval is that of a paired t test (Student, "The probable error of a mean",
//! 1908; for measurements of programs: Jain, "The Art of Computer Systems Performance Analysis",
//! 1991, chapter 13; Georges, Buytaert, Eeckhout, "Statistically rigorous Java performance
//! evaluation", OOPSLA 2007). Runs of two days have no pairs: there it is Welch's.
//!
//! A sign test or Wilcoxon's would assume less, and with three to five rounds can say nothing: the
//! smallest p that they can reach is 0.25 with three and 0.06 with five. An interval from a
//! bootstrap of three values covers far less often than it says.

use serde::{Deserialize, Serialize};

/// Two-sided 95 % quantiles of Student's t distribution, for 1 to 30 degrees of freedom; beyond,
/// the normal distribution's will do.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL: f64 = 1.960;

/// A figure, and the interval in which it lies with 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The least.
    pub low: f64,
    /// The figure.
    pub value: f64,
    /// The most.
    pub high: f64,
}

impl Interval {
    /// Whether it contains a value.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    fn exp(self) -> Self {
        Self { low: self.low.exp(), value: self.value.exp(), high: self.high.exp() }
    }
}

/// Of the mean of these values: the geometric mean where all are positive. `None` with fewer than
/// two.
pub fn of(values: &[f64]) -> Option<Interval> {
    if values.iter().all(|value| *value > 0.0) {
        let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
        return student(&logs).map(Interval::exp);
    }
    student(values)
}

/// Of the ratio of `one` to `other`: those in the same place are of the same round, and paired.
/// `None` with fewer than two pairs, or where a value is not positive.
pub fn ratio(one: &[f64], other: &[f64]) -> Option<Interval> {
    let log = |(one, other): (&f64, &f64)| (*one > 0.0 && *other > 0.0).then(|| (one / other).ln());
    let logs: Option<Vec<f64>> = one.iter().zip(other).map(log).collect();
    student(&logs?).map(Interval::exp)
}

/// Of the difference of `one` and `other`: paired as in [`ratio`]. `None` with fewer than two pairs.
pub fn difference(one: &[f64], other: &[f64]) -> Option<Interval> {
    student(&one.iter().zip(other).map(|(one, other)| one - other).collect::<Vec<_>>())
}

/// Of the ratio of `one` to `other`, which were not measured together. `None` where one has fewer
/// than two values, or one that is not positive.
pub fn unpaired_ratio(one: &[f64], other: &[f64]) -> Option<Interval> {
    if one.iter().chain(other).any(|value| *value <= 0.0) {
        return None;
    }
    let logs = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
    unpaired_difference(&logs(one), &logs(other)).map(Interval::exp)
}

/// Of the difference of `one` and `other`, which were not measured together. `None` where one has
/// fewer than two values.
pub fn unpaired_difference(one: &[f64], other: &[f64]) -> Option<Interval> {
    let ((mean, variance), (other_mean, other_variance)) = (moments(one)?, moments(other)?);
    #[allow(clippy::cast_precision_loss, reason = "rounds are few")]
    let (count, other_count) = (one.len() as f64, other.len() as f64);
    let (share, other_share) = (variance / count, other_variance / other_count);
    let square = share + other_share;
    let freedom = if square > 0.0 {
        square.powi(2) / (share.powi(2) / (count - 1.0) + other_share.powi(2) / (other_count - 1.0))
    } else {
        1.0
    };
    let half = t(freedom) * square.sqrt();
    let value = mean - other_mean;
    Some(Interval { low: value - half, value, high: value + half })
}

fn student(values: &[f64]) -> Option<Interval> {
    let (mean, variance) = moments(values)?;
    #[allow(clippy::cast_precision_loss, reason = "rounds are few")]
    let count = values.len() as f64;
    let half = t(count - 1.0) * (variance / count).sqrt();
    Some(Interval { low: mean - half, value: mean, high: mean + half })
}

/// Mean and variance.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "rounds are few")]
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some((mean, variance))
}

/// The quantile for so many degrees of freedom, cut to a whole number, which errs on the side of
/// doubt.
fn t(freedom: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small and positive")]
    let whole = freedom.clamp(1.0, 1e6) as usize;
    T.get(whole - 1).copied().unwrap_or(NORMAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paired_ratio_forgets_what_both_rounds_had_in_common() {
        let slow_day = [100.0, 50.0, 80.0];
        let twice = slow_day.map(|value| value * 2.0);
        let ratio = ratio(&twice, &slow_day).unwrap();
        assert!((ratio.value - 2.0).abs() < 1e-9 && (ratio.high - ratio.low).abs() < 1e-9, "{ratio:?}");
        // Not paired, the days are all that one sees.
        let apart = unpaired_ratio(&twice, &slow_day).unwrap();
        assert!(apart.contains(1.0), "{apart:?}");
        assert_eq!(super::ratio(&[1.0], &[1.0]), None);
        assert_eq!(super::ratio(&[1.0, 0.0], &[1.0, 1.0]), None);
    }

    #[test]
    fn an_interval_is_that_of_the_textbook() {
        // Mean 10, standard deviation 1, three values: 10 +- 4.303 / sqrt(3).
        let interval = student(&[9.0, 10.0, 11.0]).unwrap();
        assert!((interval.high - 10.0 - 4.303 / 3f64.sqrt()).abs() < 1e-9, "{interval:?}");
        assert_eq!(student(&[1.0]), None);
    }

    /// Numbers in a row that look drawn, the same in every run (Marsaglia, "Xorshift RNGs", 2003),
    /// as a normal distribution by the sum of twelve.
    fn normal(state: &mut u64) -> f64 {
        let mut uniform = || {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            (*state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }

    #[test]
    fn it_covers_as_often_as_it_says_and_a_bootstrap_of_three_does_not() {
        const TRIES: usize = 4000;
        let mut state = 88_172_645_463_325_252;
        for count in [3, 5] {
            let (mut covered, mut by_bootstrap) = (0, 0);
            for _ in 0..TRIES {
                let values: Vec<f64> = (0..count).map(|_| normal(&mut state)).collect();
                covered += usize::from(student(&values).unwrap().contains(0.0));
                // The widest interval that resampling can give: from the least to the greatest
                // value.
                let (least, most) = values
                    .iter()
                    .fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(*value), most.max(*value)));
                by_bootstrap += usize::from(least <= 0.0 && most >= 0.0);
            }
            let share = |count: usize| count as f64 / TRIES as f64;
            assert!((0.94..0.96).contains(&share(covered)), "{count} rounds: {}", share(covered));
            assert!(count > 3 || share(by_bootstrap) < 0.8, "{}", share(by_bootstrap));
        }
    }
}
