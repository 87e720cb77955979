//! Times in a histogram, for people, for programs, and for the HdrHistogram plotter.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::units::time;

/// The percentiles that are shown: their names, and the share of values at or below them.
pub(crate) const PERCENTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// The last of them, which needs the most values.
const MOST_DEMANDING: f64 = PERCENTILES[PERCENTILES.len() - 1].1;

/// A percentile beyond which there are fewer values than this is marked: a few odd values decide
/// it.
pub(crate) const LEAST_BEYOND: u64 = 10;

/// Steps of the percentile distribution for each halving of what is beyond.
const TICKS_PER_HALF: u32 = 5;

/// Width of a column of the table, in characters.
const WIDTH: usize = 11;

/// Nanoseconds in a millisecond.
const MILLI: f64 = 1e6;

/// Whether fewer than [`LEAST_BEYOND`] of `count` values lie beyond the percentile.
pub(crate) fn is_vague(count: u64, quantile: f64) -> bool {
    // A little slack, since 0.99 is not exact.
    count as f64 * (1.0 - quantile) < LEAST_BEYOND as f64 - 1e-6
}

/// A duration in seconds, for a person.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// Writes a table of percentiles, a row for each histogram that has values; vague ones are marked
/// with a `*`.
///
/// # Errors
/// What `out` says.
pub(crate) fn write_table(out: &mut dyn Write, rows: &[(&str, &Histogram<u64>)]) -> io::Result<()> {
    let label = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
    write!(out, "  {:label$}", "")?;
    for name in PERCENTILES.iter().map(|(name, _)| *name).chain(["max"]) {
        write!(out, "{name:>WIDTH$}")?;
    }
    writeln!(out)?;
    for (name, histogram) in rows.iter().filter(|(_, histogram)| !histogram.is_empty()) {
        write!(out, "  {name:label$}")?;
        for (_, quantile) in PERCENTILES {
            let mark = if is_vague(histogram.len(), quantile) { "*" } else { "" };
            write!(out, "{:>WIDTH$}", time(histogram.value_at_quantile(quantile) as f64) + mark)?;
        }
        writeln!(out, "{:>WIDTH$}", time(histogram.max() as f64))?;
    }
    if rows.iter().any(|(_, histogram)| !histogram.is_empty() && is_vague(histogram.len(), MOST_DEMANDING)) {
        writeln!(out, "  * fewer than {LEAST_BEYOND} samples lie beyond it")?;
    }
    Ok(())
}

/// What a program wants to know of a histogram; all times in nanoseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    count: u64,
    min: u64,
    mean: f64,
    p50: u64,
    p90: u64,
    p99: u64,
    p99_9: u64,
    p99_99: u64,
    max: u64,
}

impl Summary {
    /// `None` for a histogram without values, which has no percentiles.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let [p50, p90, p99, p99_9, p99_99] =
            PERCENTILES.map(|(_, quantile)| histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            min: histogram.min(),
            mean: histogram.mean(),
            p50,
            p90,
            p99,
            p99_9,
            p99_99,
            max: histogram.max(),
        })
    }
}

/// Writes the percentile distribution that HdrHistogram's plotter reads, in milliseconds.
///
/// # Errors
/// What `out` says.
pub(crate) fn write_distribution(out: &mut dyn Write, histogram: &Histogram<u64>) -> io::Result<()> {
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / MILLI;
        let quantile = step.quantile_iterated_to();
        write!(out, "{value:12.6} {quantile:1.12} {total:10}")?;
        if quantile < 1.0 {
            write!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
        }
        writeln!(out)?;
    }
    let (mean, deviation) = (histogram.mean() / MILLI, histogram.stdev() / MILLI);
    writeln!(out, "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]")?;
    let max = histogram.max() as f64 / MILLI;
    writeln!(out, "#[Max     = {max:12.6}, Total count    = {:12}]", histogram.len())?;
    // Each bucket but the first shares half of its sub-buckets with the one before.
    let (buckets, values) = (usize::from(histogram.buckets()), histogram.distinct_values());
    writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {:12}]", 2 * values / (buckets + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_ten_values_beyond() {
        assert!(is_vague(999, 0.99) && !is_vague(1000, 0.99));
        assert!(is_vague(99_000, 0.9999) && !is_vague(100_000, 0.9999));
    }

    #[test]
    fn the_distribution_counts_every_value() {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=1000_u64).for_each(|value| histogram.record(value * 1_000_000).unwrap());
        let mut text = Vec::new();
        write_distribution(&mut text, &histogram).unwrap();
        let text = String::from_utf8(text).unwrap();
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let fields: Vec<_> = last.split_whitespace().collect();
        assert_eq!(fields[1..], ["1.000000000000", "1000"]);
        assert!(text.contains("Total count    =         1000]"));
    }
}
