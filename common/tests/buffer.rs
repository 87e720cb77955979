//! A buffer is as large as its conversation needs it, and a turn as long as others can bear.

use common::buffer::LARGE_BYTES;
use common::{Buffer, Turn};

/// What fills the small part.
const SMALL_BYTES: usize = 2048;

#[test]
fn a_buffer_grows_by_a_read_that_fills_it_and_shrinks_by_one_that_does_not() {
    let mut buffer = Buffer::new();
    for (read, next) in [(1, SMALL_BYTES), (SMALL_BYTES - 1, SMALL_BYTES), (SMALL_BYTES, LARGE_BYTES)] {
        assert_eq!(buffer.space().len(), SMALL_BYTES);
        buffer.learn(read);
        assert_eq!(buffer.space().len(), next, "after a read of {read}");
    }
    buffer.learn(LARGE_BYTES);
    assert_eq!(buffer.space().len(), LARGE_BYTES);
    buffer.learn(SMALL_BYTES - 1);
    assert_eq!(buffer.space().len(), SMALL_BYTES);
}

#[test]
fn a_shared_buffer_is_always_large_and_begins_with_a_page() {
    let mut buffer = Buffer::shared();
    for read in [1, LARGE_BYTES] {
        assert_eq!(buffer.space().len(), LARGE_BYTES);
        assert_eq!(buffer.space().as_ptr().addr() % 4096, 0);
        buffer.learn(read);
    }
}

#[test]
fn a_fair_turn_takes_what_one_read_can_bring_and_a_long_one_more() {
    const { assert!(Turn::FAIR_BYTES >= LARGE_BYTES && Turn::LONG.bytes > Turn::FAIR_BYTES) };
}
