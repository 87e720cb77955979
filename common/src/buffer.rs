//! The buffer that a conversation borrows while its bytes pass through.

use memmap2::MmapMut;

/// Size in bytes of the part that a [`Buffer`] carries with it: enough for what people and small requests send.
const SMALL_BYTES: usize = 2 * 1024;

/// Size in bytes of the part that comes from the kernel: the most that one read can bring.
///
/// Twice 64 KiB, so that a message of 64 KiB does not fill it and a short read still tells the event loop that nothing is left.
pub const LARGE_BYTES: usize = 128 * 1024;

/// One per thread, process or event loop, never one per conversation.
///
/// A new one is small and lives where its owner lives, in pages that are touched anyway. When a read fills it, the next one gets
/// the large part, fresh memory that the kernel hands out page by page; when reads are small again, so is the buffer. So a thread
/// whose client sends 64 bytes costs no page for its buffer, and one that moves gigabytes does so in big steps.
#[derive(Debug)]
pub struct Buffer {
    small: [u8; SMALL_BYTES],
    large: Option<MmapMut>,
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Small,
    Large,
    AlwaysLarge,
}

impl Buffer {
    /// A buffer for one conversation at a time, which is as large as that conversation needs it.
    #[inline]
    pub const fn new() -> Self {
        Self { small: [0; SMALL_BYTES], large: None, wanted: Wanted::Small }
    }

    /// A buffer that many conversations share in turn: always the large part.
    pub const fn shared() -> Self {
        Self { small: [0; SMALL_BYTES], large: None, wanted: Wanted::AlwaysLarge }
    }

    /// Where to read into next. Where the system has no memory for the large part, the small one must do.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        if self.wanted == Wanted::Small {
            return &mut self.small;
        }
        if self.large.is_none() {
            self.large = MmapMut::map_anon(LARGE_BYTES).ok();
        }
        match &mut self.large {
            Some(large) => large,
            None => &mut self.small,
        }
    }

    /// Learns from a read of `count` bytes how much space the next one wants.
    #[inline]
    pub fn learn(&mut self, count: usize) {
        if self.wanted != Wanted::AlwaysLarge {
            self.wanted = if count < SMALL_BYTES { Wanted::Small } else { Wanted::Large };
        }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}
