//! Axes: where a value lies on a chart, and which values get a line.

/// An axis from a low to a high end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Axis {
    /// Equal steps.
    Linear { low: f64, high: f64 },
    /// Equal factors; both ends above 0.
    Log { low: f64, high: f64 },
}

/// Values that lie this many times apart need an axis of equal factors.
const FAR_APART: f64 = 20.0;

/// No axis has more lines: twenty powers of ten are more than a time or a size can span.
const MOST_LINES: u32 = 20;

/// Lines on a linear axis, about.
const LINES: f64 = 4.0;

impl Axis {
    /// One that shows all these values, from 0 where they are not too far apart.
    pub(super) fn for_values(values: &[f64], may_be_log: bool) -> Self {
        let high = values.iter().copied().fold(f64::MIN, f64::max);
        let low = values.iter().copied().fold(f64::MAX, f64::min);
        if may_be_log && low > 0.0 && high / low > FAR_APART {
            return Self::Log { low: low / 1.2, high: high * 1.2 };
        }
        let (low, high) = (low.min(0.0), high.max(0.0));
        let room = (high - low).max(f64::MIN_POSITIVE) * 0.06;
        Self::Linear { low: if low < 0.0 { low - room } else { 0.0 }, high: high + room }
    }

    /// Where a value lies, from 0 at the low end to 1 at the high end.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => (value.max(low).ln() - low.ln()) / (high.ln() - low.ln()),
        };
        place.clamp(0.0, 1.0)
    }

    /// The values that get a line. `bytes`: in steps of powers of two, since the units are.
    pub(super) fn ticks(self, bytes: bool) -> Vec<f64> {
        let base: f64 = if bytes { 2.0 } else { 10.0 };
        match self {
            Self::Linear { low, high } => {
                let step = nice((high - low) / LINES, base);
                let first = (low / step).ceil();
                let ticks = (0..MOST_LINES).map(|index| (first + f64::from(index)) * step);
                ticks.filter(|tick| *tick <= high && *tick >= low).collect()
            }
            Self::Log { low, high } => {
                let factor: f64 = if bytes { 4.0 } else { 10.0 };
                let first = (low.ln() / factor.ln()).ceil();
                let ticks = (0..MOST_LINES).map(|index| factor.powf(first + f64::from(index)));
                let ticks: Vec<f64> = ticks.filter(|tick| *tick <= high && *tick >= low).collect();
                let every = ticks.len().div_ceil(6).max(1);
                ticks.into_iter().step_by(every).collect()
            }
        }
    }
}

/// The step of one, two or five (in powers of two: one or two) that is not below `least`.
fn nice(least: f64, base: f64) -> f64 {
    let power = base.powf((least.ln() / base.ln()).floor());
    let steps: &[f64] = if base < 10.0 { &[1.0, 2.0] } else { &[1.0, 2.0, 5.0, 10.0] };
    steps.iter().map(|step| step * power).find(|step| *step >= least).unwrap_or(power * base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis::for_values(&[12_000.0, 83_000.0], true);
        assert_eq!(axis.ticks(false), [0.0, 50_000.0]);
        assert_eq!((axis.place(0.0), axis.place(1e9)), (0.0, 1.0));
        let axis = Axis::for_values(&[20_000.0, 9_000_000.0], true);
        assert_eq!(axis.ticks(false), [100_000.0, 1_000_000.0, 10_000_000.0]);
        let axis = Axis::for_values(&[-500.0, 3_000.0], true);
        assert!(axis.place(-500.0) > 0.0 && axis.ticks(true).contains(&0.0), "{:?}", axis.ticks(true));
        let axis = Axis::for_values(&[0.0, 0.0], true);
        assert!(axis.place(0.0).is_finite());
    }
}
