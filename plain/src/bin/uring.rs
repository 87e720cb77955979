//! All conversations on one thread, by completions (io_uring): the kernel receives and sends.
#![allow(unsafe_code, reason = "the kernel reads and writes memory of this process")]

use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::null_mut;

use anyhow::anyhow;
use io_uring::{IoUring, opcode, squeue::Entry, types::Fd};
use slab::Slab;

/// The name of the request that accepts. A conversation's request is named by its key.
const ACCEPT: u64 = u64::MAX;
const BUFFER_BYTES: usize = 64 * 1024;

/// It always has one request underway: to send what its buffer still holds, or else to receive.
struct Conversation {
    stream: TcpStream,
    buffer: Vec<u8>,
    received: usize,
    sent: usize,
}

fn main() -> anyhow::Result<()> {
    let mut ring = IoUring::new(1024).map_err(|error| anyhow!("there is no io_uring here: {error}"))?;
    let listener = plain::listen()?;
    let accept = opcode::Accept::new(Fd(listener.as_raw_fd()), null_mut(), null_mut());
    let accept = accept.flags(libc::SOCK_CLOEXEC).build().user_data(ACCEPT);
    let mut open = Slab::new();
    push(&mut ring, &accept);
    loop {
        // A signal may interrupt it; what has completed is there all the same.
        let _ = ring.submit_and_wait(1);
        let completed: Vec<_> = ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (name, result) in completed {
            if name == ACCEPT {
                push(&mut ring, &accept);
                if result >= 0 {
                    // SAFETY: the kernel has just opened this descriptor, and nobody else has it.
                    let stream = unsafe { TcpStream::from_raw_fd(result) };
                    let buffer = vec![0; BUFFER_BYTES];
                    let key = open.insert(Conversation { stream, buffer, received: 0, sent: 0 });
                    push(&mut ring, &open[key].request(key));
                }
                continue;
            }
            let key = usize::try_from(name)?;
            if open[key].go_on(result) {
                push(&mut ring, &open[key].request(key));
            } else {
                open.remove(key);
            }
        }
    }
}

impl Conversation {
    /// What the kernel is asked for next.
    fn request(&mut self, key: usize) -> Entry {
        let socket = Fd(self.stream.as_raw_fd());
        let unsent = &self.buffer[self.sent..self.received];
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a buffer is less than 4 GiB");
        let request = if unsent.is_empty() {
            opcode::Recv::new(socket, self.buffer.as_mut_ptr(), length(&self.buffer)).build()
        } else {
            opcode::Send::new(socket, unsent.as_ptr(), length(unsent)).flags(libc::MSG_NOSIGNAL).build()
        };
        request.user_data(key as u64)
    }

    /// Notes what its request has moved; says whether there is a next one.
    fn go_on(&mut self, result: i32) -> bool {
        let count = usize::try_from(result).unwrap_or(0);
        if self.sent < self.received {
            self.sent += count;
        } else {
            common::shout(&mut self.buffer[..count]);
            (self.received, self.sent) = (count, 0);
        }
        // Zero bytes: the end of its input, or an error.
        count > 0
    }
}

/// Queues a request. A full queue is handed to the kernel first.
fn push(ring: &mut IoUring, request: &Entry) {
    // SAFETY: a request points to its conversation's buffer, which stays until the request has
    // ended.
    while unsafe { ring.submission().push(request) }.is_err() {
        let _ = ring.submit();
    }
}
