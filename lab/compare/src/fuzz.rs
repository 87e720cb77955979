//! What is done with files that come from elsewhere, for the fuzzer (`fuzz/`), and for the test that
//! does it with all that the fuzzer has kept. Each function panics where something does not hold.

use std::path::Path;

use crate::document::Document;
use crate::html::timeline::Timeline;
use crate::series::read::Series;
use crate::{baseline, export, html, report};

/// The most bytes of a page for each byte of a file, beside what each page has.
const GROWTH: usize = 1000;

/// The results of a comparison: refused in one line, or shown in every way.
pub fn results(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut document = match Document::of("it", text) {
        Ok(document) => document,
        Err(error) => return assert!(is_plain(&format!("{error:#}")), "{error:#}"),
    };
    document.baseline = Some(baseline::compare(Path::new("it"), &document, &document));
    let shown = [
        report::answer(&document, None),
        report::text(&document, Some(80)),
        export::markdown(&document),
        export::csv(&document).expect("it has no file to fail"),
    ];
    assert!(shown.iter().all(|text| text.lines().all(is_plain)), "{shown:?}");
    for text in shown.iter().chain([&html::html(&document)]) {
        assert!(text.len() < (1 << 20) + GROWTH * bytes.len(), "{} bytes", text.len());
    }
}

/// Time series, with a line of `=` between two.
pub fn series(bytes: &[u8]) {
    let mut each = Vec::new();
    for part in bytes.split(|byte| *byte == b'=') {
        match Series::of("it", part) {
            Ok(series) => each.push(series),
            Err(why) => assert!(is_plain(&why), "{why:?}"),
        }
    }
    if !each.is_empty() {
        let timeline = Timeline::new(&each);
        for text in [timeline.page(), timeline.picture()] {
            assert!(!text.contains("NaN") && !text.contains("inf"), "a number is none");
            assert!(text.len() < (1 << 20) + GROWTH * bytes.len(), "{} bytes", text.len());
        }
    }
}

fn is_plain(line: &str) -> bool {
    !line.contains(char::is_control)
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[test]
fn what_the_fuzzer_has_kept_is_shown_or_refused() {
    let fuzz = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");
    kept::each(fuzz, "results", results);
    kept::each(fuzz, "series", series);
}
