//! What is written is read, whatever is read is merged or refused, and the merged figures are the
//! load's own.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::load::{LoadOptions, Rank, invented};

fn log_of(load: &Results) -> (Facts, Vec<u8>) {
    let options = LoadOptions::new("127.0.0.1:1".parse().unwrap());
    let facts = Facts::new(&options, Some(Rank { rank: 1, ranks: 2 }), load);
    let mut bytes = Vec::new();
    write(&mut bytes, &facts, load).unwrap();
    (facts, bytes)
}

fn read_alone(bytes: &[u8]) -> Result<Log> {
    let mut logs = read(bytes, 1);
    assert_eq!(logs.len(), 1);
    logs.remove(0)
}

/// A line of another program's log.
fn foreign_line(value: u64) -> String {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 100_000, 2).unwrap();
    histogram.record(value).unwrap();
    let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    IntervalLogWriterBuilder::new()
        .begin_log_with(&mut bytes, &mut serializer)
        .unwrap()
        .write_histogram(&histogram, Duration::from_millis(1_500), Duration::from_secs(2), None)
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_log_of_another_writer_is_read() {
    let line = foreign_line(500);
    let text = format!(
        "#[Logged with jHiccup version 2.0.7]\n#[StartTime: 1441812279.474 (seconds since epoch), Wed Sep 09 2015]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n{line}"
    );
    let log = read_alone(text.as_bytes()).unwrap();
    assert_eq!((log.tags[""].len(), log.span), (1, (1_441_812_280.974, 1_441_812_282.974)));
}

#[test]
fn what_other_writers_write_otherwise_is_read_too() {
    let line = foreign_line(500);
    let histogram = line.trim().rsplit(',').next().unwrap();
    let text = format!(
        "\u{feff}#[BaseTime: 100 (seconds since epoch)]\r\n\r\n  \n2,1,5,{histogram}  \r\nTag=a,4, 1, 5.0,{histogram}\nTag=b,4,1,5,{histogram}"
    );
    let log = read_alone(text.as_bytes()).unwrap();
    assert_eq!(log.tags.keys().map(String::as_str).collect::<Vec<_>>(), ["", "a", "b"]);
    assert_eq!(log.span, (102.0, 105.0));
    let scaled = read(text.as_bytes(), 1_000).remove(0).unwrap();
    // Two digits are told apart in it.
    assert!((500_000..505_000).contains(&scaled.tags["a"].max()), "{}", scaled.tags["a"].max());
}

#[test]
fn several_logs_in_one_stream_are_told_apart_and_what_is_between_is_skipped() {
    let (facts, bytes) = log_of(&invented(&[(5, 100, 0), (900, 1_100, 0)], 2_000, 7));
    let one = String::from_utf8(bytes).unwrap();
    let stream = format!("starting\n{one}done, said the program\n{one}");
    let logs = read(stream.as_bytes(), 1);
    assert_eq!(logs.len(), 2);
    for log in logs {
        let log = log.unwrap();
        assert_eq!((log.facts.as_ref(), log.tags[RESPONSE].len()), (Some(&facts), 2));
    }
}

#[test]
fn a_cut_log_is_told_from_a_whole_one() {
    let (_, whole) = log_of(&invented(&[(5, 100, 0), (1_500, 1_600, 0)], 2_000, 7));
    assert!(read_alone(&whole).is_ok());
    for end in 0..whole.len() - 1 {
        let error = format!("{:#}", read(&whole[..end], 1).remove(0).unwrap_err());
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn what_is_no_log_is_refused_in_one_line() {
    for broken in
        [b"".as_slice(), b"hello\n", b"#only a comment\n", b"0.1,1.0,2.0,not base64\n", b"#[client load] {}"]
    {
        let error = format!("{:#}", read_alone(broken).unwrap_err());
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_small_log_cannot_ask_for_memory_without_end() {
    let line = foreign_line(500);
    let text: String = (0..100).map(|tag| format!("Tag={tag},{line}")).collect();
    assert_eq!(read_one(&text, 1, MOST_BYTES).unwrap().tags.len(), 100);
    let error = read_one(&text, 1, 1 << 20).unwrap_err();
    assert!(error.to_string().contains("too many tags"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The requests of an invented load: when each was sent and answered, in milliseconds, and by
    /// which of two workers.
    #[test]
    fn the_merged_figures_of_one_log_are_the_loads_own(
        requests in prop::collection::vec((0_u64..5_000, 1_u64..2_500, 0_usize..2), 0..60),
        length in 1_u64..5_000,
        errors in 0_u64..9,
    ) {
        let requests: Vec<_> =
            requests.into_iter().filter(|(sent, ..)| *sent < length).map(|(sent, took, worker)| (sent, sent + took, worker)).collect();
        let mut load = invented(&requests, length, 7);
        load.errors.reset = errors;
        let (facts, bytes) = log_of(&load);
        let log = read_alone(&bytes).unwrap();
        let read = log.facts.unwrap();
        prop_assert_eq!(&read, &facts);
        prop_assert_eq!(read.rate(), load.rate());
        prop_assert_eq!((read.requests, read.late, read.errors), (load.requests, load.late, load.errors));
        let merged = log.tags.get(RESPONSE).map_or(0, Histogram::len);
        prop_assert_eq!(merged, load.response.len());
        for quantile in [0.0, 0.5, 0.9, 0.99, 1.0] {
            let both = log.tags.get(RESPONSE).map(|merged| merged.value_at_quantile(quantile));
            prop_assert_eq!(both.unwrap_or(0), load.response.value_at_quantile(quantile));
        }
        // Every interval is there, also those without an answer, and none but the last is short.
        let covered: Duration = load.intervals.iter().map(|interval| interval.length).sum();
        prop_assert!(covered >= load.elapsed, "{:?} of {:?}", covered, load.elapsed);
    }

    #[test]
    fn a_damaged_log_is_merged_or_refused_but_never_a_panic(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (_, mut bytes) = log_of(&invented(&[(5, 100, 0), (900, 1_100, 1)], 2_000, 7));
        let place = place.index(bytes.len());
        bytes[place] = byte;
        read(&bytes, 1_000).into_iter().for_each(drop);
    }
}
