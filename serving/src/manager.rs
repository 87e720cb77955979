//! What a service manager is told (sd_notify(3)), if the environment names one.
//!
//! Its status line is told at most once a second, and only after a change: the change sets the
//! process's alarm clock, and SIGALRM arrives where all signals do. So nobody wakes for it where
//! nothing happens, and the last change is told too.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::alarm;

use crate::Tally;

/// How long, in seconds, a change waits until it is told.
const STATUS_SECONDS: u32 = 1;

/// Whether a change sets no alarm: it is set already, or there is nobody to be told.
static SETTLED: AtomicBool = AtomicBool::new(true);

/// From now on changes of the tally set the alarm clock, if there is a manager. Call it when
/// SIGALRM has a handler, not before: it would end the process.
pub(crate) fn tell_changes() {
    SETTLED.store(socket().is_none(), Ordering::Relaxed);
}

/// The tally has changed.
#[inline]
pub(crate) fn changed() {
    if !SETTLED.load(Ordering::Relaxed) && !SETTLED.swap(true, Ordering::Relaxed) {
        alarm::set(STATUS_SECONDS);
    }
}

/// The alarm has gone off: tells the status line. The next change sets the alarm again.
pub(crate) fn tell_status(tally: &Tally) {
    tell_changes();
    if let Err(error) = tell(&format!("STATUS={tally}")) {
        // No more than that: it may be so every second.
        log::debug!("cannot tell the service manager the status: {error}");
    }
}

/// Tells the manager that this server has come to another state, such as `READY=1`. Never waits for
/// it.
pub(crate) fn notify(state: &str) {
    match tell(state) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            log::warn!("cannot tell the service manager {state}: it reads nothing");
        }
        Err(error) => log::warn!("cannot tell the service manager {state}: {error}"),
        Ok(()) => {}
    }
}

/// Where the manager listens.
fn socket() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())
}

fn tell(words: &str) -> io::Result<()> {
    socket().map_or(Ok(()), |path| send(&path, words))
}

fn send(path: &OsStr, words: &str) -> io::Result<()> {
    let manager = match path.as_bytes() {
        [b'@', name @ ..] => UnixAddress::from_abstract_name(name)?,
        _ => UnixAddress::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(words.as_bytes(), &manager)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_with_at_is_no_path() {
        let name = format!("shout-test-{}", std::process::id());
        let address = UnixAddress::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), "READY=1").unwrap();
        let mut received = [0; 100];
        assert_eq!(manager.recv(&mut received).unwrap(), 7);
        assert!(received.starts_with(b"READY=1"));
    }
}
