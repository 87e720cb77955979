//! What is done with bytes that come from elsewhere, for the fuzzer (`fuzz/`), and for the test that
//! does it with all that the fuzzer has kept. Each function panics where something does not hold.

use std::net::SocketAddr;

use serving::options::{parse_count, parse_duration, parse_listen_address};

use crate::load;
use crate::{hlog, merge};

/// Options of the command line: each is read or refused in one line, and what is shown of it is read
/// as the same.
pub fn options(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    load::fuzz::options(text);
    let lines = [parse_duration(text).err(), parse_count::<1000>(text).err()];
    assert!(lines.iter().flatten().all(|line| !line.contains('\n')));
    // Nobody is asked for the address of a name.
    if text.chars().all(|it| it.is_ascii_digit() || ".:[]".contains(it))
        && let Ok(address) = parse_listen_address(text)
    {
        assert_eq!(address.to_string().parse::<SocketAddr>(), Ok(address));
    }
}

/// A histogram as a log has it, without base64.
pub fn histogram(bytes: &[u8]) {
    if let Ok(histogram) = hlog::decode(bytes) {
        assert!(histogram.is_empty() || histogram.min() <= histogram.max());
    }
}

/// Interval logs in one stream: read and merged, or refused, and shown so that a terminal obeys
/// nothing of it and a program can read it.
pub fn merge(bytes: &[u8]) {
    for (unit, force) in [(1, false), (1_000_000, true)] {
        merge::fuzz(hlog::read(bytes, unit), force);
    }
}

#[cfg(test)]
#[path = "../../fuzz/kept.rs"]
mod kept;

#[test]
fn what_the_fuzzer_has_kept_is_read_or_refused() {
    let fuzz = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");
    kept::each(fuzz, "options", options);
    kept::each(fuzz, "histogram", histogram);
    kept::each(fuzz, "merge", merge);
}
