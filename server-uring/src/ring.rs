//! The ring: requests go to the kernel, completions come back, and received bytes lie in buffers that both use in turn. All `unsafe`
//! of this crate is in this file, behind functions that cannot be called wrongly.
//!
//! What the kernel may touch, and when:
//!
//! - Its own two queues, mapped by the `io_uring` crate, which also keeps their rules.
//! - The buffers of [`Memory`], from which answers are sent too. Of these it writes only into those that it was lent, and [`Lending`]
//!   says which they are. No request holds a pointer to anything else but that for a tick, whose length is read while it is handed over.
//! - It reads and writes them only while this thread is inside [`Ring::wait`] (IORING_SETUP_DEFER_TASKRUN). A [`Filled`] is the
//!   one right to look at a buffer that is not lent; it cannot be copied, and lending the buffer again takes it away. So there is
//!   never a reference to bytes that change.
//! - It may write until the last request that receives has ended, which [`Ring::busy`] counts. So a ring that is dropped, also by
//!   a panic, first cancels all requests and waits for their ends. Should these not come, the memory is never freed: a leak is
//!   harmless where a late write is not.
#![allow(unsafe_code, reason = "the kernel shares memory with this process")]

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::mem::{ManuallyDrop, size_of};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use memmap2::{Advice, MmapMut};

use crate::lending::{BUFFERS, Lending};
use crate::operation::{Completion, Key, Operation};
use crate::support;

/// Size of a buffer in bytes: the most that one completion can bring.
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;

/// From one buffer's first byte to the next one's. A little more than their size: at a power of two their beginnings, which most
/// requests alone use, would drive each other from the processor's caches.
const STRIDE_BYTES: usize = BUFFER_BYTES + 4096 + 64;

/// The number of the buffers' group, the only one.
const GROUP: u16 = 0;

/// How long a ring that is dropped waits for the end of its requests.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A buffer with received bytes, which its owner alone uses. It must come back by [`Ring::give_back`] or [`Ring::send`].
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
    /// Requests that the submission queue has no place for yet.
    waiting: VecDeque<squeue::Entry>,
    /// Requests that use the memory and have not ended.
    busy: usize,
    /// The length of a tick, at an address that stays.
    tick: Box<Timespec>,
    /// How often the kernel has been entered.
    turn: u32,
    /// How many completions the last time brought.
    brought: usize,
    /// How the kernel is entered.
    enter: EnterFlags,
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
        // A huge page would be touched whole by the first byte. Where there are none, there is nothing to forbid.
        let _ = memory.buffers.advise(Advice::NoHugePage);
        let address = memory.queue.as_ptr() as u64;
        // SAFETY: the address is that of a mapping of BUFFERS entries, which outlives the registration: see `drop`.
        unsafe { uring.submitter().register_buf_ring_with_flags(address, BUFFERS, GROUP, 0) }
            .map_err(|error| anyhow::anyhow!(support::explain(&error)))?;
        // Where it can be said (Linux 6.15), a server without clients does not count as one that waits for a disk.
        let quiet = uring.params().is_feature_no_iowait();
        Ok(Self {
            enter: if quiet { EnterFlags::NO_IOWAIT } else { EnterFlags::empty() },
            uring,
            memory: ManuallyDrop::new(memory),
            lending: Lending::new(),
            waiting: VecDeque::new(),
            busy: 0,
            tick: Box::default(),
            turn: 0,
            brought: 0,
        })
    }

    /// Asks to be told once when the signals' descriptor can be read.
    pub(crate) fn watch(&mut self, signals: &impl AsFd) {
        let poll = opcode::PollAdd::new(fd(signals), u32::from(libc::POLLIN.unsigned_abs()));
        self.push(poll.build(), Operation::Signals);
    }

    /// Sets the length of a tick, and asks for the first.
    ///
    /// The timeout of [`Ring::wait`] would do too. But it is a timer that the kernel sets and takes back in every sleep: three per cent
    /// of a request where one client asks.
    pub(crate) fn begin_ticks(&mut self, tick: Duration) {
        *self.tick = Timespec::from(tick);
        self.next_tick();
    }

    /// Asks to be told once when another tick has passed.
    pub(crate) fn next_tick(&mut self) {
        let timeout = opcode::Timeout::new(&raw const *self.tick);
        self.push(timeout.build(), Operation::Tick);
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
    pub(crate) fn receive(&mut self, socket: &impl AsFd, key: Key) {
        let receive = opcode::RecvMulti::new(fd(socket), GROUP);
        self.busy += 1;
        self.push(receive.build(), Operation::Receive(key));
    }

    /// Sends what is in the buffer, as much as the socket takes at once. The buffer comes back with the completion.
    pub(crate) fn send(&mut self, socket: &impl AsFd, key: Key, filled: Filled) {
        let Filled { buffer, bytes } = filled;
        let bytes = u32::try_from(bytes).expect("a buffer is smaller");
        let send = opcode::Send::new(fd(socket), self.memory.start(buffer), bytes)
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        self.busy += 1;
        self.push(send.build(), Operation::Send(key, buffer));
    }

    /// Asks to be told once when the socket has room for what is to be sent.
    pub(crate) fn wait_for_room(&mut self, socket: &impl AsFd, key: Key) {
        let poll = opcode::PollAdd::new(fd(socket), u32::from(libc::POLLOUT.unsigned_abs()));
        self.push(poll.build(), Operation::Room(key));
    }

    /// Asks for the end of all requests of this name. Their own completions tell when it has come.
    pub(crate) fn cancel(&mut self, operation: Operation) {
        let requests = CancelBuilder::user_data(operation.to_bits()).all();
        let cancel = opcode::AsyncCancel2::new(requests).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(cancel, Operation::Cancel);
    }

    /// What is in a buffer.
    pub(crate) fn bytes(&self, filled: &Filled) -> &[u8] {
        // SAFETY: the buffer is not lent, as its `Filled` is here, so nobody writes to it while that is borrowed; it has `bytes` bytes.
        unsafe { slice::from_raw_parts(self.memory.start(filled.buffer), filled.bytes) }
    }

    /// What is in a buffer, to be changed.
    #[inline]
    pub(crate) fn bytes_mut(&mut self, filled: &mut Filled) -> &mut [u8] {
        // SAFETY: as above, and no other reference to it is there, since its only `Filled` is borrowed for this one.
        unsafe { slice::from_raw_parts_mut(self.memory.start(filled.buffer), filled.bytes) }
    }

    /// The bytes are not needed any more: the buffer can be lent again.
    #[inline]
    pub(crate) fn give_back(&mut self, filled: Filled) {
        self.lending.give_back(filled.buffer);
    }

    /// The number of the last [`Ring::wait`].
    pub(crate) fn turn(&self) -> u32 {
        self.turn
    }

    /// Whether the last [`Ring::wait`] brought one completion only.
    pub(crate) fn brought_one(&self) -> bool {
        self.brought == 1
    }

    /// Lends one more buffer from now on: there were not enough for all who had something to receive.
    pub(crate) fn lend_more(&mut self) {
        self.lending.want_more();
    }

    /// Hands all requests to the kernel and sleeps until something completes, but not longer than `timeout`: one system call.
    /// What has completed is added to `completions`.
    ///
    /// # Errors
    /// If the kernel takes no requests any more.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<()> {
        self.turn = self.turn.wrapping_add(1);
        self.memory.lend_all(&mut self.lending);
        while let Some(entry) = self.waiting.pop_front() {
            if !push(&mut self.uring, &entry) {
                self.waiting.push_front(entry);
                break;
            }
        }
        // Who has requests left must come back soon.
        let want = usize::from(self.waiting.is_empty());
        let timeout = timeout.map(Timespec::from);
        let arguments = SubmitArgs::new();
        let arguments = timeout.as_ref().map_or(arguments, |timeout| arguments.timespec(timeout));
        let entered = self.uring.submitter().submit_with_args_and_flags(want, &arguments, self.enter);
        match entered.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) => {}
            // The time is over, a signal has come, or (EBUSY, EAGAIN) completions must be taken first, or memory has run out.
            Err((Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => {}
            Err((_, error)) => return Err(error),
        }
        let completed = self.uring.completion();
        self.brought = completed.len();
        for entry in completed {
            completions.extend(decode(&entry, &mut self.lending, &mut self.memory.filled, &mut self.busy));
        }
        Ok(())
    }

    #[inline]
    fn push(&mut self, entry: squeue::Entry, operation: Operation) {
        let entry = entry.user_data(operation.to_bits());
        if !self.waiting.is_empty() || !push(&mut self.uring, &entry) {
            self.waiting.push_back(entry);
        }
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
            // SAFETY: it is aligned and of zeros at first, which is a valid entry; the kernel looks at none beyond the tail.
            let entry = unsafe { &mut *entry };
            entry.set_addr(self.start(buffer) as u64);
            entry.set_len(u32::try_from(BUFFER_BYTES).expect("a buffer is smaller"));
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
        }
        if self.tail != before {
            // SAFETY: the tail lies in the first entry, where none of an entry's own fields is.
            let tail = unsafe { BufRingEntry::tail(entries) };
            // SAFETY: it is aligned, the kernel and this thread share it by atomic operations only, and the mapping is alive.
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
        let mut completions = Vec::new();
        while self.busy > 0 && Instant::now() < deadline {
            if self.wait(Some(LAST_WAIT), &mut completions).is_err() {
                break;
            }
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

/// What a completion says, and who has its buffer from now on. `None` for that of a cancellation: see [`Ring::cancel`].
#[inline]
fn decode(
    entry: &cqueue::Entry,
    lending: &mut Lending,
    filled: &mut [usize],
    busy: &mut usize,
) -> Option<Completion> {
    let count = usize::try_from(entry.result()).map_err(|_| io::Error::from_raw_os_error(-entry.result()));
    let more = cqueue::more(entry.flags());
    let buffer = cqueue::buffer_select(entry.flags());
    Some(match Operation::from_bits(entry.user_data()) {
        Operation::Signals => Completion::Signals,
        operation @ (Operation::AcceptAll | Operation::AcceptOne) => {
            let accepted = |_| {
                // SAFETY: the result is a descriptor that the kernel has just opened for this process, and for nobody else.
                TcpStream::from(unsafe { OwnedFd::from_raw_fd(entry.result()) })
            };
            Completion::Accepted { all: operation == Operation::AcceptAll, result: count.map(accepted), more }
        }
        Operation::Cancel => return None,
        Operation::Receive(key) => {
            *busy -= usize::from(!more);
            let buffer = buffer.inspect(|&buffer| lending.filled(buffer));
            let buffer = match (buffer, &count) {
                (Some(buffer), &Ok(bytes)) if bytes > 0 => {
                    filled[usize::from(buffer)] = bytes;
                    Some(Filled { buffer, bytes })
                }
                (Some(empty), _) => {
                    lending.give_back(empty);
                    None
                }
                (None, _) => None,
            };
            Completion::Received { key, result: count.map(|_| buffer), more }
        }
        Operation::Send(key, buffer) => {
            *busy -= 1;
            let bytes = filled[usize::from(buffer)];
            Completion::Sent { key, buffer: Filled { buffer, bytes }, result: count }
        }
        Operation::Room(key) => Completion::Room { key },
        Operation::Tick => Completion::Tick,
    })
}
