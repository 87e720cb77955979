//! The transformation. This is the whole protocol, and the only place where it is written.

#![allow(
    unsafe_code,
    reason = "a function for a newer processor can be called only where somebody vouches for that processor"
)]

/// From this many bytes on, wider registers win back what asking for them costs.
#[cfg(target_arch = "x86_64")]
const WIDE_BYTES: usize = 256;

/// Turns ASCII `a-z` to `A-Z` in place; every other byte stays as it is, so UTF-8 passes unharmed and no length changes.
///
/// The loop has no branch, so the compiler makes it run at the speed of memory (`cargo bench -p common`).
#[inline]
pub fn shout(bytes: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WIDE_BYTES && is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2, and the function asks for nothing else.
        return unsafe { shout_wide(bytes) };
    }
    bytes.make_ascii_uppercase();
}

/// The same loop, compiled for registers that are twice as wide as those that every x86-64 has.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn shout_wide(bytes: &mut [u8]) {
    bytes.make_ascii_uppercase();
}
