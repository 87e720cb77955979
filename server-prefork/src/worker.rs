//! A worker process: it accepts by itself, and serves one conversation after the other.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Instant;

use common::Buffer;
use serving::pause::LENGTH;
use serving::process::{self, Name};
use serving::stop::{self, Current};
use serving::{Admission, Drain, Outcome, ServerOptions, Talk, Transform, tcp};
use socket2::SockRef;

use crate::conversations::Conversations;

/// A worker's life, until it is told to stop. Nothing of the parent's is dropped or flushed.
pub(crate) fn work(
    place: usize,
    listener: TcpListener,
    open: &Conversations,
    buffer: &mut Buffer,
    options: &ServerOptions,
) -> ! {
    if process::obey_sigterm().is_err() {
        process::exit_with(Outcome::Failed);
    }
    process::close_all_but([listener.as_fd(), open.report()]);
    let idle = Name::of(&"idle");
    idle.show();
    // A panic ends this worker only, and runs nothing of the parent's.
    let served = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut listener = Some(listener);
        let mut admission = Admission::new(1);
        while let Some(accepting) = &listener {
            // Looked at before the last client is let in: who is told to stop meanwhile may find
            // one more.
            let last = stop::is_woken();
            if last {
                admission.end(accepting);
                tcp::keep_from_blocking(accepting);
            }
            if admission.is_over(0) {
                break;
            }
            if !admission.has_room(0) {
                thread::sleep(LENGTH);
                continue;
            }
            let Ok(accepted) = admission.accept(|| accept(accepting)) else { return Outcome::Failed };
            let Some((stream, peer)) = accepted else {
                // Its timeout has passed (`serving::listen`), or whoever else has this listener has
                // made it non-blocking.
                if !stop::is_woken() {
                    let _ = serving::wait([Some(accepting.as_fd())], Some(Instant::now() + LENGTH));
                }
                continue;
            };
            log::debug!("serving {peer}");
            // Without a parent nobody counts, and the kernel is about to kill this process anyway.
            if open.tell(place, None).is_err() {
                return Outcome::Failed;
            }
            Name::of(&peer).show();
            let outcome = converse(&stream, &mut listener, buffer, options);
            drop(stream);
            if open.tell(place, Some(outcome)).is_err() {
                return Outcome::Failed;
            }
            idle.show();
            if stop::is_woken() {
                listener = None;
            }
        }
        Outcome::Completed
    }));
    process::exit_with(served.unwrap_or(Outcome::Failed))
}

/// Serves one conversation. A worker that is told to stop in the middle of it closes its listener,
/// so that the port is free for a successor.
fn converse(
    stream: &TcpStream,
    listener: &mut Option<TcpListener>,
    buffer: &mut Buffer,
    options: &ServerOptions,
) -> Outcome {
    let _current = Current::new(stream);
    let (mut talk, transform) = (Talk::new(), Transform::new(options));
    loop {
        if let Some(outcome) = talk.go_on(stream, buffer, transform) {
            return outcome;
        }
        // The only signal that a worker hears says to stop.
        *listener = None;
        Drain::begin(options.drain_timeout);
    }
}

/// Sleeps until a connection arrives. Unlike std's `accept` it also comes back when a signal has
/// been handled.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = SockRef::from(listener).accept()?;
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Ok((socket.into(), peer.as_socket().unwrap_or(unknown)))
}
