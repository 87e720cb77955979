//! Processes, threads in them, an event loop in each thread: all accept from one listener.
#![allow(unsafe_code, reason = "fork has no safe form")]

use common::{Buffer, Conversation, Progress};
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use nix::sys::{prctl, signal};
use nix::unistd;
use slab::Slab;

const PROCESSES: usize = 2;
const THREADS: usize = 2;
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

fn main() -> anyhow::Result<()> {
    let listener = plain::listen()?;
    listener.set_nonblocking(true)?;
    for _ in 1..PROCESSES {
        // SAFETY: this process still has one thread, so its child may do whatever it may do itself.
        if let unistd::ForkResult::Child = unsafe { unistd::fork() }? {
            prctl::set_pdeathsig(signal::SIGKILL)?;
            break;
        }
    }
    for _ in 1..THREADS {
        let listener = TcpListener::from_std(listener.try_clone()?);
        std::thread::Builder::new().spawn(|| serve(listener))?;
    }
    serve(TcpListener::from_std(listener))
}

/// The event loop of `mio.rs`.
fn serve(mut listener: TcpListener) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, Token(usize::MAX), Interest::READABLE)?;
    let (mut events, mut buffer, mut open) = (Events::with_capacity(1024), Buffer::shared(), Slab::new());
    loop {
        let _ = poll.poll(&mut events, None);
        for event in &events {
            let Some((conversation, stream)) = open.get_mut(event.token().0) else { continue };
            match plain::drive(conversation, stream, &mut buffer) {
                Progress::Ended => drop(open.remove(event.token().0)),
                Progress::Blocked => {}
                _ => poll.registry().reregister(stream, event.token(), BOTH)?,
            }
        }
        while let Ok((mut stream, _)) = listener.accept() {
            let entry = open.vacant_entry();
            if poll.registry().register(&mut stream, Token(entry.key()), BOTH).is_ok() {
                entry.insert((Conversation::new(), stream));
            }
        }
    }
}
