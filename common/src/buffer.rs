//! The buffer that a conversation borrows while its bytes pass through.

use std::io;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Size of a [`Buffer`] in bytes: the most that one read can bring.
///
/// Twice 64 KiB, so that a message of 64 KiB does not fill it and a short read still tells the event loop that nothing is left.
pub const BUFFER_BYTES: usize = 128 * 1024;

/// One per thread, process or event loop, never one per conversation.
///
/// It is memory fresh from the kernel, because that costs nothing until it is touched: a thread whose client sends 64 bytes
/// uses one page of it, where an array on its stack or a zeroed `Vec` would use them all.
#[derive(Debug)]
pub struct Buffer(MmapMut);

impl Buffer {
    /// Maps a new buffer.
    ///
    /// # Errors
    /// `ENOMEM` if the system has no memory, or this process no mapping, to spare (mmap(2)).
    pub fn new() -> io::Result<Self> {
        MmapMut::map_anon(BUFFER_BYTES).map(Self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
