//! The ring: requests go to the kernel, completions come back, and received bytes lie in buffers
//! that both use in turn. All `unsafe` of this crate is in this file, behind functions that cannot
//! be called wrongly.
//!
//! What the kernel may touch, and when:
//!
//! - Its own two queues, mapped by the `io_uring` crate, which also keeps their rules.
//! - The buffers of [`Memory`], from which answers are sent too. It writes only into those that
//!   were lent to it, and [`Lending`] says which they are. No request holds a pointer to anything
//!   else but that for a tick, whose length is read while it is handed over.
//! - It reads and writes them only while this thread hands requests over or waits
//!   (IORING_SETUP_DEFER_TASKRUN), so inside a call of a [`Ring`] that is borrowed mutably. A
//!   [`Filled`] is the one right to look at a buffer that is not lent; it cannot be copied, and
//!   lending the buffer again takes it away. So there is never a reference to bytes that change.
//! - It may write until the last request has ended, and each keeps its socket open: [`Ring::busy`]
//!   counts them. So a ring that is dropped, also by a panic, first cancels all requests and waits
//!   for their ends. Should these not come, the memory is never freed: a leak is harmless where a
//!   late write is not.
#![allow(unsafe_code, reason = "the kernel shares memory with this process")]

#[cfg(test)]
mod tests;

use std::io;
use std::mem::{self, ManuallyDrop, size_of};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use memmap2::{Advice, MmapMut};
use serving::{Pause, pause};

use crate::lending::{BUFFERS, Lending};
use crate::operation::{Completion, Event, Operation};
use crate::support;

/// Size of a buffer in bytes: the most that one completion can bring. The kernel fills at most 32
/// for one request in a turn (64, where they were there before the request), so this bounds what is
/// received from a peer before anybody knows that it does not read.
pub(crate) const PIECE_BYTES: usize = 2 * 1024;

/// From one buffer's first byte to the next one's. A little more than their size: at a power of two
/// their beginnings, which most requests alone use, would drive each other from the processor's
/// caches.
const STRIDE_BYTES: usize = PIECE_BYTES + 64;

/// The number of the buffers' group, the only one.
const GROUP: u16 = 0;

/// How long a ring that is dropped waits for the end of its requests.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A buffer with received bytes, which its owner alone uses. It must come back by
/// [`Ring::give_back`] or [`Ring::send`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Filled {
    buffer: u16,
    bytes: usize,
}

/// What is shared with the kernel.
#[derive(Debug)]
struct Memory {
    /// The queue of lent buffers: entries, and a tail that says how far they are valid.
    queue: MmapMut,
    buffers: MmapMut,
    tail: u16,
    /// How many bytes each buffer holds that the server has.
    filled: Vec<usize>,
}

/// An io_uring with its buffers.
pub(crate) struct Ring {
    uring: IoUring,
    memory: ManuallyDrop<Memory>,
    lending: Lending,
    /// Requests that have not ended, without those to cancel others.
    busy: usize,
    /// Whether the request for signals is underway.
    watches: bool,
    /// The length of a tick, at an address that stays.
    tick: Box<Timespec>,
    /// How many completions the last time brought.
    brought: usize,
    /// How the kernel is entered.
    flags: EnterFlags,
    /// Whether the kernel has refused the last time, and brought nothing either.
    refused: bool,
    /// Whether requests or completions have been lost.
    lost: bool,
    pause: Pause,
}

impl Ring {
    /// A ring without requests.
    ///
    /// # Errors
    /// One line that says what the kernel lacks or forbids.
    pub(crate) fn new() -> Result<Self> {
        let uring = support::open()?;
        let memory = Memory {
            queue: MmapMut::map_anon(usize::from(BUFFERS) * size_of::<BufRingEntry>())?,
            buffers: MmapMut::map_anon(usize::from(BUFFERS) * STRIDE_BYTES)?,
            tail: 0,
            filled: vec![0; usize::from(BUFFERS)],
        };
        // A huge page would be touched whole by the first byte. Where there are none, there is
        // nothing to forbid.
        let _ = memory.buffers.advise(Advice::NoHugePage);
        let address = memory.queue.as_ptr() as u64;
        // SAFETY: the address is that of a mapping of BUFFERS entries, which outlives the
        // registration: see `drop`.
        unsafe { uring.submitter().register_buf_ring_with_flags(address, BUFFERS, GROUP, 0) }
            .map_err(|error| anyhow::anyhow!(support::explain(&error)))?;
        // Where it can be said (Linux 6.15), a server without clients does not count as one that
        // waits for a disk.
        let quiet = uring.params().is_feature_no_iowait();
        Ok(Self {
            flags: if quiet { EnterFlags::NO_IOWAIT } else { EnterFlags::empty() },
            uring,
            memory: ManuallyDrop::new(memory),
            lending: Lending::new(),
            busy: 0,
            watches: false,
            tick: Box::default(),
            brought: 0,
            refused: false,
            lost: false,
            pause: Pause::default(),
        })
    }

    /// Begins anew, without any request.
    ///
    /// # Errors
    /// Those of [`Ring::new`].
    pub(crate) fn renew(&mut self) -> Result<()> {
        let mut new = Self::new()?;
        mem::swap(&mut new.pause, &mut self.pause);
        *self = new;
        Ok(())
    }

    /// Asks to be told once when the signals' descriptor can be read, if that is not asked already.
    #[inline]
    pub(crate) fn watch(&mut self, signals: &impl AsFd) {
        if !self.watches {
            self.watches = true;
            let poll = opcode::PollAdd::new(fd(signals), u32::from(libc::POLLIN.unsigned_abs()));
            self.push(poll.build(), Operation::Signals);
        }
    }

    /// Asks to be told once when a tick of this length has passed, if there are ticks.
    ///
    /// The timeout of [`Ring::wait`] would do too. But it is a timer that the kernel sets and takes
    /// back in every sleep: three per cent of a request where one client asks.
    pub(crate) fn tell_tick(&mut self, tick: Option<Duration>) {
        if let Some(tick) = tick {
            *self.tick = Timespec::from(tick);
            let timeout = opcode::Timeout::new(&raw const *self.tick);
            self.push(timeout.build(), Operation::Tick);
        }
    }

    /// Asks for every connection.
    pub(crate) fn accept_all(&mut self, listener: &impl AsFd) {
        let accept = opcode::AcceptMulti::new(fd(listener)).flags(libc::SOCK_CLOEXEC);
        self.push(accept.build(), Operation::AcceptAll);
    }

    /// Asks for one connection.
    pub(crate) fn accept_one(&mut self, listener: &impl AsFd) {
        let nobody = std::ptr::null_mut();
        let accept =
            opcode::Accept::new(fd(listener), nobody, nobody.cast()).flags(libc::SOCK_CLOEXEC).build();
        self.push(accept, Operation::AcceptOne);
    }

    /// Asks for all that the peer sends, each time in a buffer of the kernel's choice.
    pub(crate) fn receive(&mut self, socket: &impl AsFd, place: u32) {
        let receive = opcode::RecvMulti::new(fd(socket), GROUP);
        self.push(receive.build(), Operation::Receive(place));
    }

    /// Sends what is in the buffer, as much as the socket takes at once. The buffer comes back with
    /// the completion.
    pub(crate) fn send(&mut self, socket: &impl AsFd, place: u32, filled: Filled) {
        let Filled { buffer, bytes } = filled;
        let bytes = u32::try_from(bytes).expect("a buffer is smaller");
        let send = opcode::Send::new(fd(socket), self.memory.start(buffer), bytes)
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        self.push(send.build(), Operation::Send(place, buffer));
    }

    /// Asks to be told once when the socket has room, or else when it has bytes.
    pub(crate) fn wait_for(&mut self, socket: &impl AsFd, place: u32, room: bool) {
        let event = if room { libc::POLLOUT } else { libc::POLLIN };
        let poll = opcode::PollAdd::new(fd(socket), u32::from(event.unsigned_abs()));
        self.push(poll.build(), Operation::Ready(place));
    }

    /// Asks for the end of all requests of this name. Their own completions tell when it has come.
    pub(crate) fn cancel(&mut self, operation: Operation) {
        let requests = CancelBuilder::user_data(operation.to_bits()).all();
        let cancel = opcode::AsyncCancel2::new(requests).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(cancel, Operation::Cancel);
    }

    /// What is in a buffer.
    pub(crate) fn bytes(&self, filled: &Filled) -> &[u8] {
        // SAFETY: the buffer is not lent, as its `Filled` is here, so nobody writes to it while
        // that is borrowed; it has `bytes` bytes.
        unsafe { slice::from_raw_parts(self.memory.start(filled.buffer), filled.bytes) }
    }

    /// What is in a buffer, to be changed.
    #[inline]
    pub(crate) fn bytes_mut(&mut self, filled: &mut Filled) -> &mut [u8] {
        // SAFETY: as above, and no other reference to it is there, since its only `Filled` is
        // borrowed for this one.
        unsafe { slice::from_raw_parts_mut(self.memory.start(filled.buffer), filled.bytes) }
    }

    /// The bytes are not needed any more: the buffer can be lent again.
    #[inline]
    pub(crate) fn give_back(&mut self, filled: Filled) {
        self.lending.give_back(filled.buffer);
    }

    /// Whether the last [`Ring::wait`] brought one completion only.
    pub(crate) fn brought_one(&self) -> bool {
        self.brought == 1
    }

    /// Whether the kernel has refused to take requests the last time, and brought nothing either:
    /// no signal can be told.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Whether requests or completions have been lost for lack of memory: which, the kernel does
    /// not say. Then only a new ring will do: see [`Ring::renew`].
    pub(crate) fn has_lost(&self) -> bool {
        self.lost
    }

    /// Lends one more buffer from now on: there were not enough for all who had something to
    /// receive.
    pub(crate) fn lend_more(&mut self) {
        self.lending.want_more();
    }

    /// Hands all requests to the kernel and sleeps until something completes, but not longer than
    /// `timeout`: one system call. [`Ring::next`] says what has completed.
    ///
    /// Where the kernel has no memory, and nothing has completed that could free some, it sleeps
    /// for a moment and comes back.
    ///
    /// # Errors
    /// If the kernel takes no requests any more.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        let entered = self.enter(timeout);
        self.refused = false;
        let Err(error) = entered else { return Ok(()) };
        match error.raw_os_error() {
            // The time is over, or a signal has come.
            Some(libc::ETIME | libc::EINTR) => return Ok(()),
            // Completions must be taken first, or memory has run out, for requests (EAGAIN, ENOMEM)
            // or for completions (EBADR).
            Some(libc::EBUSY | libc::EAGAIN | libc::ENOMEM) => {}
            Some(libc::EBADR) => self.lost = true,
            _ => return Err(error).context("the kernel takes no requests any more"),
        }
        self.refused = self.brought == 0;
        if self.refused || self.lost {
            self.pause.begin("hand requests to the kernel", &error);
            thread::sleep(pause::LENGTH);
        }
        Ok(())
    }

    #[inline]
    fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.memory.lend_all(&mut self.lending);
        let timeout = timeout.map(Timespec::from);
        let arguments = SubmitArgs::new();
        let arguments = timeout.as_ref().map_or(arguments, |timeout| arguments.timespec(timeout));
        let entered = self.uring.submitter().submit_with_args_and_flags(1, &arguments, self.flags);
        self.brought = self.uring.completion().len();
        entered.map(drop)
    }

    /// The next completion that [`Ring::wait`] has brought.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Completion> {
        loop {
            let entry = self.uring.completion().next()?;
            if let Some(completion) = self.decode(&entry) {
                return Some(completion);
            }
        }
    }

    /// What a completion says, and whose its buffer is from now on. `None` for that of a
    /// cancellation: see [`Ring::cancel`].
    #[inline]
    fn decode(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let operation = Operation::from_bits(entry.user_data());
        let count =
            usize::try_from(entry.result()).map_err(|_| io::Error::from_raw_os_error(-entry.result()));
        let more = cqueue::more(entry.flags());
        self.busy -= usize::from(!more && operation != Operation::Cancel);
        Some(match operation {
            Operation::Cancel => return None,
            Operation::Signals => {
                self.watches = false;
                Completion::Signals
            }
            Operation::Tick => Completion::Tick,
            Operation::AcceptAll | Operation::AcceptOne => {
                let accepted = |_| {
                    // SAFETY: the result is a descriptor that the kernel has just opened for this
                    // process and nobody else.
                    TcpStream::from(unsafe { OwnedFd::from_raw_fd(entry.result()) })
                };
                let all = operation == Operation::AcceptAll;
                Completion::Accepted { all, result: count.map(accepted), more }
            }
            Operation::Receive(place) => {
                let bytes = *count.as_ref().unwrap_or(&0);
                let filled =
                    cqueue::buffer_select(entry.flags()).and_then(|buffer| self.filled(buffer, bytes));
                Completion::Conversation(place, Event::Received { result: count.map(|_| filled), more })
            }
            Operation::Send(place, buffer) => {
                let buffer = Filled { buffer, bytes: self.memory.filled[usize::from(buffer)] };
                Completion::Conversation(place, Event::Sent { buffer, result: count })
            }
            Operation::Ready(place) => Completion::Conversation(place, Event::Ready),
        })
    }

    /// The kernel has put so many bytes into a buffer that it was lent. An empty one is nobody's.
    #[inline]
    fn filled(&mut self, buffer: u16, bytes: usize) -> Option<Filled> {
        self.lending.filled(buffer);
        if bytes == 0 {
            self.lending.give_back(buffer);
            return None;
        }
        self.memory.filled[usize::from(buffer)] = bytes;
        Some(Filled { buffer, bytes })
    }

    /// Puts a request into the submission queue.
    #[inline]
    fn push(&mut self, entry: squeue::Entry, operation: Operation) {
        self.busy += usize::from(operation != Operation::Cancel);
        let entry = entry.user_data(operation.to_bits());
        if !push(&mut self.uring, &entry) {
            self.make_room();
            self.lost |= !push(&mut self.uring, &entry);
        }
    }

    /// The submission queue is full: the kernel takes what is in it. Whether it did, the next
    /// request will show.
    #[cold]
    fn make_room(&mut self) {
        let _ = self.uring.submit();
    }
}

impl Memory {
    /// Where a buffer begins.
    fn start(&self, buffer: u16) -> *mut u8 {
        debug_assert!(buffer < BUFFERS);
        // SAFETY: every number of a buffer is less than BUFFERS, so this is inside the mapping.
        unsafe { self.buffers.as_ptr().cast_mut().add(usize::from(buffer) * STRIDE_BYTES) }
    }

    /// Lends buffers until the kernel has as many as it shall have.
    fn lend_all(&mut self, lending: &mut Lending) {
        let before = self.tail;
        let entries: *mut BufRingEntry = self.queue.as_mut_ptr().cast();
        while let Some(buffer) = lending.lend() {
            let place = usize::from(self.tail % BUFFERS);
            // SAFETY: the queue has BUFFERS entries.
            let entry = unsafe { entries.add(place) };
            // SAFETY: it is aligned and of zeros at first, which is a valid entry; the kernel looks
            // at none beyond the tail.
            let entry = unsafe { &mut *entry };
            entry.set_addr(self.start(buffer) as u64);
            entry.set_len(u32::try_from(PIECE_BYTES).expect("a buffer is smaller"));
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
        }
        if self.tail != before {
            // SAFETY: the tail lies in the first entry, where none of an entry's own fields is.
            let tail = unsafe { BufRingEntry::tail(entries) };
            // SAFETY: it is aligned, the kernel and this thread share it by atomic operations only,
            // and the mapping is alive.
            let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
            tail.store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Requests are taken in order, so this one reaches all others.
        self.push(opcode::AsyncCancel2::new(CancelBuilder::any()).build(), Operation::Cancel);
        let deadline = Instant::now() + LAST_WAIT;
        while self.busy > 0 && Instant::now() < deadline && self.enter(Some(LAST_WAIT)).is_ok() {
            while self.next().is_some() {}
        }
        if self.busy == 0 && self.uring.submitter().unregister_buf_ring(GROUP).is_ok() {
            // SAFETY: nothing uses the memory any more, and it is dropped here only.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
    }
}

/// Puts a request into the submission queue; says whether it had room.
#[inline]
fn push(uring: &mut IoUring, entry: &squeue::Entry) -> bool {
    // SAFETY: what a request points to lives as long as the request: see the head of this file.
    unsafe { uring.submission().push(entry) }.is_ok()
}

fn fd(source: &impl AsFd) -> Fd {
    Fd(source.as_fd().as_raw_fd())
}
