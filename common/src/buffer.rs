//! The buffer that a conversation borrows while its bytes pass through.

/// Size in bytes of the part that a [`Buffer`] carries with it: enough for what people and small
/// requests send.
const SMALL_BYTES: usize = 2 * 1024;

/// Size in bytes of the part that is allocated when it is needed: the most that one read can bring,
/// and so the most that is kept for a peer that does not read.
///
/// More than 64 KiB, so that a message of 64 KiB does not fill it and a short read still tells the
/// event loop that nothing is left; so much less than 128 KiB that a thread that sleeps on it,
/// with its own pages, costs no more than that for a peer that does not read. Sizes around it cost
/// more for large messages (docs/performance.md).
pub const LARGE_BYTES: usize = 96 * 1024;

/// Size in bytes of a page of memory.
const PAGE_BYTES: usize = 4096;

/// One per thread, process or event loop, never one per conversation.
///
/// A new one is small and lives where its owner lives, in pages that are touched anyway. When a
/// read fills it, the next one gets the large part; when reads are small again, so is the buffer.
/// So a thread whose client sends 64 bytes costs no page for its buffer, and one that moves
/// gigabytes does so in big steps.
#[derive(Debug)]
pub struct Buffer {
    small: [u8; SMALL_BYTES],
    large: Option<Large>,
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

    /// Where to read into next. Where the system has no memory for the large part, the small one
    /// must do.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        if self.wanted == Wanted::Small {
            return &mut self.small;
        }
        if self.large.is_none() {
            self.large = Large::allocate();
        }
        match &mut self.large {
            Some(Large { bytes, start }) => &mut bytes[*start..*start + LARGE_BYTES],
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

/// The large part. It begins with a page: the kernel copies much faster into and out of whole ones.
#[derive(Debug)]
struct Large {
    bytes: Box<[u8]>,
    start: usize,
}

impl Large {
    /// `None` where there is no memory for it.
    fn allocate() -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(PAGE_BYTES + LARGE_BYTES).ok()?;
        bytes.resize(PAGE_BYTES + LARGE_BYTES, 0);
        let start = bytes.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        Some(Self { bytes: bytes.into_boxed_slice(), start })
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}
