//! Several series as one: what all clients of a load had, interval by interval.

use super::read::{MOST_ROWS, Row, Series};

/// A rest of this part of an interval is not worth a point of its own.
const STUMP: f64 = 0.4;

/// Of one client, what it adds to an interval of all: its gauges, weighted by the time that they
/// cover.
#[derive(Clone, Copy, Default)]
struct Share {
    open: f64,
    in_flight: f64,
    seconds: f64,
}

/// The intervals of all, in seconds since 1970, without those in which nobody was.
///
/// Answers are divided among the intervals that a client's interval lies in, by time; errors and
/// percentiles belong to the one that its middle lies in. Percentiles cannot be added: the worst is
/// kept.
pub fn all(each: &[Series]) -> Vec<Row> {
    if let [alone] = each {
        return alone.rows.clone();
    }
    let rows = || each.iter().flat_map(|series| &series.rows);
    let begin = rows().map(|row| row.start).fold(f64::MAX, f64::min);
    let end = rows().map(Row::end).fold(begin, f64::max);
    // The first interval of a client is as long as it was asked for; its last ones need not be.
    let length =
        each.iter().map(|series| series.rows[0].length).fold((end - begin) / MOST_ROWS as f64, f64::max);
    // A short rest at the end belongs to the interval before it.
    let places = |seconds: f64| if length > 0.0 { whole(seconds / length) } else { 0 };
    let count = whole(((end - begin) / length.max(f64::MIN_POSITIVE) - STUMP).ceil()).max(1);
    let start = |index: usize| begin + index as f64 * length;
    let until = |index: usize| if index + 1 < count { start(index + 1) } else { end };
    let mut all: Vec<Row> = (0..count)
        .map(|index| Row { start: start(index), length: until(index) - start(index), ..Row::default() })
        .collect();
    let index = |moment: f64| places(moment - begin).min(count - 1);
    let mut has_any = vec![false; count];
    for series in each {
        let mut shares = vec![Share::default(); count];
        for row in &series.rows {
            for index in index(row.start)..=index(row.end()) {
                let seconds = row.end().min(all[index].end()) - row.start.max(all[index].start);
                if let (Some(rate), true) = (row.rate(), seconds > 0.0) {
                    all[index].answered += rate * seconds;
                    shares[index].open += row.open * seconds;
                    shares[index].in_flight += row.in_flight * seconds;
                    shares[index].seconds += seconds;
                }
            }
            let middle = index(row.start + row.length / 2.0);
            has_any[middle] = true;
            let sum = &mut all[middle];
            sum.p50 = if row.p50 > sum.p50 { row.p50 } else { sum.p50 };
            sum.p99 = if row.p99 > sum.p99 { row.p99 } else { sum.p99 };
            for (sum, count) in sum.errors.iter_mut().zip(row.errors) {
                *sum += count;
            }
        }
        for (index, share) in shares.iter().enumerate().filter(|(_, share)| share.seconds > 0.0) {
            has_any[index] = true;
            all[index].open += share.open / share.seconds;
            all[index].in_flight += share.in_flight / share.seconds;
        }
    }
    all.into_iter().zip(has_any).filter_map(|(row, has_any)| has_any.then_some(row)).collect()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most MOST_ROWS, or bounded then"
)]
fn whole(count: f64) -> usize {
    count as usize
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::series;
    use super::*;

    #[test]
    fn rates_and_errors_are_added_and_the_worst_percentile_is_kept() {
        let one = series("a", &[(100.0, 10, 0), (101.0, 10, 22)]);
        // It begins half an interval later.
        let other = series("b", &[(100.5, 40, 1), (101.5, 20, 0)]);
        let all = all(&[one, other]);
        let rates: Vec<_> = all.iter().filter_map(Row::rate).collect();
        let p99: Vec<_> = all.iter().filter_map(|row| row.p99).collect();
        assert_eq!(rates, [30.0, 40.0, 20.0]);
        assert_eq!(all.iter().map(|row| row.errors[2]).collect::<Vec<_>>(), [0.0, 23.0, 0.0]);
        assert_eq!(p99, [10.0, 40.0, 20.0]);
        assert_eq!((all[0].open, all[2].open, all[2].length), (10.0, 5.0, 0.5));
    }

    #[test]
    fn clients_of_different_days_leave_a_gap_and_not_a_million_intervals() {
        let all = all(&[series("a", &[(100.0, 10, 3)]), series("b", &[(9e9, 10, 4)])]);
        assert_eq!((all.len(), all[1].errors[2]), (2, 4.0));
    }
}
