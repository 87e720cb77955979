//! All conversations on one thread, in one event loop: each that can go on gets a turn.

use common::{Buffer, Conversation, Progress};
use mio::{Events, Interest, Poll, Token, net::TcpListener};
use slab::Slab;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

fn main() -> anyhow::Result<()> {
    let listener = plain::listen()?;
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, Token(usize::MAX), Interest::READABLE)?;
    let (mut events, mut buffer, mut open) = (Events::with_capacity(1024), Buffer::shared(), Slab::new());
    loop {
        // A signal may interrupt it; then there are no events.
        let _ = poll.poll(&mut events, None);
        for event in &events {
            let Some((conversation, stream)) = open.get_mut(event.token().0) else { continue };
            match plain::drive(conversation, stream, &mut buffer) {
                Progress::Ended => drop(open.remove(event.token().0)),
                Progress::Blocked => {}
                // Its turn is over, but perhaps not its bytes: the next poll tells of them again.
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
