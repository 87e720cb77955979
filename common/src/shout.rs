//! The transformation. This is the whole protocol, and the only place where it is written.
#![allow(unsafe_code, reason = "a function compiled for processors with AVX2")]

/// From this many bytes on, wider registers save more than it costs to ask for them.
const WIDE_BYTES: usize = 256;

/// Turns ASCII `a-z` to `A-Z` in place; every other byte stays as it is, so UTF-8 passes unharmed
/// and no length changes.
///
/// The loop has no branch, so the compiler makes vector instructions of it, and once more for the
/// wider registers that most x86-64 processors have (`cargo bench -p common`).
#[inline]
pub fn shout(bytes: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WIDE_BYTES && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has what that function is compiled for.
        return unsafe { shout_wide(bytes) };
    }
    bytes.make_ascii_uppercase();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn shout_wide(bytes: &mut [u8]) {
    bytes.make_ascii_uppercase();
}
