//! The transformation. This is the whole protocol, and the only place where it is written.

use fearless_simd::{Level, Simd, dispatch};

/// From this many bytes on, wider registers win back what asking for them costs.
const WIDE_BYTES: usize = 256;

/// Turns ASCII `a-z` to `A-Z` in place; every other byte stays as it is, so UTF-8 passes unharmed
/// and no length changes.
///
/// The loop has no branch, so the compiler makes vector instructions of it, here for each width of
/// registers that a processor may have (`cargo bench -p common`).
#[inline]
pub fn shout(bytes: &mut [u8]) {
    if bytes.len() < WIDE_BYTES {
        bytes.make_ascii_uppercase();
    } else {
        dispatch!(Level::new(), simd => simd.vectorize(#[inline(always)] || bytes.make_ascii_uppercase()));
    }
}
