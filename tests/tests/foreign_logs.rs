//! Other people's programs read our interval logs, and we read theirs: HdrHistogram for Python.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::deploy::{python, told};
use tests::{Kind, Model, Server};

/// Prints, for each tag of a log, its count and percentiles. The rank of a percentile is rounded up
/// here as it is with us: the library rounds it to the nearest.
const READ: &str = "
import json, math, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 2**62, 3))
tags = {}
while (interval := reader.get_next_interval_histogram()) is not None:
    tag = interval.get_tag() or ''
    tags.setdefault(tag, HdrHistogram(1, 2**62, 3)).add(interval)
at = {'p50': 50, 'p90': 90, 'p99': 99, 'p99_9': 99.9, 'max': 100}
def value_at(all, percentile):
    count = all.get_total_count()
    return all.get_value_at_percentile(math.ceil(percentile * count / 100 - 1e-6) * 100 / count)
print(json.dumps({tag: {'count': all.get_total_count(),
    **{name: value_at(all, percentile) for name, percentile in at.items()}}
    for tag, all in tags.items()}))
";

/// Writes a log of two intervals: values from 1,000 to 4,000,000.
const WRITE: &str = "
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter
log = HistogramLogWriter(open(sys.argv[1], 'w'))
log.output_log_format_version()
log.output_base_time(1769860800_000)
log.output_legend()
for number in range(2):
    interval = HdrHistogram(1, 3_600_000_000_000, 3)
    for value in range(1 + 2000 * number, 2001 + 2000 * number):
        interval.record_value(1000 * value)
    log.output_interval_histogram(interval, number + 1, number + 2)
log.close()
";

const CLIENT: &str = env!("CARGO_BIN_EXE_tested-client");

fn merged(log: &Path, unit: &str) -> Value {
    let mut merge = Command::new(CLIENT);
    let output = merge.args(["merge", "--unit", unit, "--json", "-"]).arg(log).output();
    let output = output.expect("it can be started");
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// Asserts that both have read the same, in units of so many nanoseconds.
fn assert_same(theirs: &Value, ours: &Value, unit: u64) {
    assert_eq!(theirs["count"], ours["count"]);
    for name in ["p50", "p90", "p99", "p99_9", "max"] {
        let ours = ours[name].as_u64().expect("it is a number");
        let theirs = theirs[name].as_u64().expect("it is a number") * unit;
        // A value stands for all that have the same three digits.
        assert!(ours.abs_diff(theirs) * 1000 <= theirs, "{name}: {ours} here and {theirs} there");
    }
}

#[test]
fn python_reads_our_log_with_the_same_counts_and_percentiles() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let log = folder.path().join("ours.hlog");
    let model = Model { kind: Kind::Thread, program: env!("CARGO_BIN_EXE_tested-server-thread") };
    let server = Server::start(model, &[]);
    let mut load = Command::new(CLIENT);
    load.args(["load", &server.address().to_string(), "-c", "4", "-r", "2000", "-d", "1500ms"]);
    let output = load.args(["--interval", "200ms", "--hdr"]).arg(&log).output().expect("it can be started");
    assert!(output.status.success(), "{}", told(&output));
    server.stop();
    let Some(theirs) = python(READ, &[&log]) else { return };
    let theirs: Value = serde_json::from_slice(&theirs).expect("it is JSON");
    let ours = merged(&log, "ns");
    let tags = ours["tags"].as_array().expect("it is a list");
    assert_eq!((tags.len(), theirs.as_object().map(|tags| tags.len())), (2, Some(2)), "{theirs}");
    for tag in tags {
        assert!(tag["count"].as_u64() > Some(2000), "{tag}");
        assert_same(&theirs[tag["tag"].as_str().expect("it is text")], &tag["values_ns"], 1);
    }
}

#[test]
fn we_read_a_log_that_python_has_written() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let log = folder.path().join("theirs.hlog");
    if python(WRITE, &[&log]).is_none() {
        return;
    }
    assert!(fs::read_to_string(&log).expect("it was written").contains("BaseTime: 1769860800.0"));
    let theirs: Value =
        serde_json::from_slice(&python(READ, &[&log]).expect("it was there")).expect("it is JSON");
    for (unit, nanoseconds) in [("ns", 1), ("us", 1000)] {
        let ours = merged(&log, unit);
        assert_eq!(ours["tags"][0]["count"], 4000);
        assert_same(&theirs[""], &ours["tags"][0]["values_ns"], nanoseconds);
        let p50 = ours["tags"][0]["values_ns"]["p50"].as_u64().expect("it is a number");
        assert!(p50.abs_diff(2_000_000 * nanoseconds) < 2_500 * nanoseconds, "{p50}");
        assert_eq!(ours["span_seconds"], 2.0);
    }
}
