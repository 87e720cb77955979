//! Bytes from the network as text that is safe on a terminal.

use std::fmt::Write;

/// How many bytes an error message shows at the most.
const SHOWN_BYTES: usize = 64;

/// How many of them stand before the byte that matters.
const SHOWN_BEFORE: usize = 16;

/// Shows printable UTF-8 as it is and escapes the rest: control characters, which a terminal would
/// obey, invisible ones, which would mislead the reader, and what is not UTF-8. The result has no
/// line break.
pub(super) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        // The standard escape also touches quotes and backslashes, which harm nobody here.
        for part in chunk.valid().split_inclusive(['\'', '"', '\\', '\u{200c}', '\u{200d}']) {
            match part.char_indices().next_back() {
                // The joiners are part of written words and emoji.
                Some((at, last @ ('\'' | '"' | '\\' | '\u{200c}' | '\u{200d}'))) => {
                    text.extend(part[..at].escape_debug());
                    text.push(last);
                }
                _ => text.extend(part.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Shows a few of `bytes` around the index `at`, in quotes, with dots where it is cut.
pub(super) fn excerpt(bytes: &[u8], at: usize) -> String {
    let begin = if bytes.len() <= SHOWN_BYTES { 0 } else { at.saturating_sub(SHOWN_BEFORE).min(bytes.len()) };
    let end = bytes.len().min(begin + SHOWN_BYTES);
    let before = if begin > 0 { "..." } else { "" };
    let after = if end < bytes.len() { "..." } else { "" };
    format!("{before}\"{}\"{after}", printable(&bytes[begin..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_of_any_language_is_shown_as_it_is() {
        for text in [
            "HELLO BABY",
            "C:\\DIR 'a' \"b\" #",
            "你好 ÄÖÜ ß",
            "e\u{301}",
            "👩\u{200d}👧 \u{200d}",
            "می\u{200c}خواهم",
        ] {
            assert_eq!(printable(text.as_bytes()), text);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable(b"\x1b[2J\r\n\t\0\x7f"), "\\u{1b}[2J\\r\\n\\t\\0\\u{7f}");
        assert_eq!(printable("\u{202e}\u{9b}\u{2028}".as_bytes()), "\\u{202e}\\u{9b}\\u{2028}");
    }

    #[test]
    fn what_is_not_utf8_is_escaped_byte_by_byte() {
        assert_eq!(printable(b"A\xff\xe4\xbdB"), "A\\xff\\xe4\\xbdB");
        for byte in 0..=u8::MAX {
            assert!(printable(&[byte]).chars().all(|shown| !shown.is_control()), "{byte}");
        }
    }

    #[test]
    fn an_excerpt_is_short_and_contains_the_place() {
        assert_eq!(excerpt(b"ABC", 1), "\"ABC\"");
        let mut long = vec![b'a'; 1000];
        long[500] = b'X';
        let shown = excerpt(&long, 500);
        assert!(shown.starts_with("...\"") && shown.ends_with("\"...") && shown.contains('X'), "{shown}");
        assert!(shown.len() <= SHOWN_BYTES + 8, "{shown}");
        assert_eq!(excerpt(&long, 999).len(), "...\"\"".len() + SHOWN_BEFORE + 1);
    }
}
