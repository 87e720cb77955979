//! Who is let in, and when: the limit, the errors of `accept`, and the last ones at a stop.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::pause::Pause;
use crate::tcp;

/// So many connections may break in the queue one after the other before that, too, is a reason to
/// pause.
const MOST_BROKEN_IN_A_ROW: u32 = 64;

/// How long, at a stop, those who wait in the listener's queue are let in.
const LAST_ADMISSIONS: Duration = Duration::from_secs(1);

/// How often the listener is looked at meanwhile, where nothing tells of it.
const LAST_LOOK: Duration = Duration::from_millis(10);

/// Why `accept` brought no connection, by errno (accept(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AcceptError {
    /// Nobody waits in the queue, or a signal ended the wait for somebody.
    QueueEmpty,
    /// This one connection broke before it was accepted: take the next.
    Connection,
    /// The listener itself is unusable.
    Listener,
    /// The system has run out of descriptors or memory, or refuses for a reason of its own: wait,
    /// or the loop spins.
    Other,
}

impl AcceptError {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            _ if error.kind() == io::ErrorKind::WouldBlock => Self::QueueEmpty,
            Some(Errno::EINTR) => Self::QueueEmpty,
            Some(Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EFAULT) | None => Self::Listener,
            // What accept(2) names: an abort, a firewall, and errors of the new connection that
            // Linux passes on.
            Some(
                Errno::ECONNABORTED
                | Errno::ECONNRESET
                | Errno::EPERM
                | Errno::EPROTO
                | Errno::ETIMEDOUT
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::ENONET
                | Errno::ENOPROTOOPT
                | Errno::EHOSTDOWN
                | Errno::EHOSTUNREACH
                | Errno::EOPNOTSUPP,
            ) => Self::Connection,
            Some(_) => Self::Other,
        }
    }
}

/// Decides whether the server looks at its listener.
#[derive(Debug)]
pub struct Admission {
    /// The most conversations that may be open at once.
    limit: usize,
    pause: Pause,
    /// When the pause ends that left no room. Who does not look at the listener for its sake must
    /// not sleep beyond it, although it may have passed meanwhile.
    pausing: Option<Instant>,
    /// Once a stop has come: how many of those who waited then are still to be let in, and until
    /// when. Another process may have taken them, where the listener was handed over.
    last: Option<(usize, Instant)>,
    /// How many connections have broken in the queue, one after the other.
    broken: u32,
    /// Whether the last `accept` found nobody.
    found_nobody: bool,
}

impl Admission {
    /// Lets clients in while fewer than `limit` conversations are open.
    pub fn new(limit: usize) -> Self {
        Self { limit, pause: Pause::default(), pausing: None, last: None, broken: 0, found_nobody: false }
    }

    /// Whether another client may be let in beside the `open` ones, now.
    pub fn has_room(&mut self, open: usize) -> bool {
        self.room(open) > 0
    }

    /// How many more clients may be let in beside the `open` ones, now.
    pub fn room(&mut self, open: usize) -> usize {
        self.pausing = self.pause.until();
        let most = match self.last {
            _ if self.pausing.is_some() => 0,
            Some((last, _)) => last,
            None => usize::MAX,
        };
        self.limit.saturating_sub(open).min(most)
    }

    /// How long the server may sleep without looking at its listener: not beyond a pause that
    /// [`room`](Self::room) has found, and not for long while the last ones are let in.
    pub fn until(&self) -> Option<Instant> {
        self.pausing.or(self.last.map(|_| Instant::now() + LAST_LOOK))
    }

    /// Sorts the result of an `accept` call: a connection, or `None` when there is nothing to
    /// accept for now.
    ///
    /// A connection that broke in the queue is skipped: `accept` is called again. What else fails
    /// begins a pause.
    ///
    /// # Errors
    /// If the listener itself is unusable.
    #[inline]
    pub fn accept<S>(&mut self, mut accept: impl FnMut() -> io::Result<S>) -> Result<Option<S>> {
        self.found_nobody = false;
        loop {
            let error = match accept() {
                Ok(accepted) => {
                    self.broken = 0;
                    self.last = self.last.map(|(last, until)| (last.saturating_sub(1), until));
                    return Ok(Some(accepted));
                }
                Err(error) => error,
            };
            match AcceptError::of(&error) {
                AcceptError::Connection if self.broken < MOST_BROKEN_IN_A_ROW => self.broken += 1,
                AcceptError::QueueEmpty => {
                    self.found_nobody = true;
                    self.last = self.last.map(|(_, until)| (0, until));
                    return Ok(None);
                }
                AcceptError::Connection | AcceptError::Other => {
                    self.broken = 0;
                    self.pause("accept a connection", &error);
                    return Ok(None);
                }
                AcceptError::Listener => return Err(error).context("cannot accept connections any more"),
            }
        }
    }

    /// Whether somebody may still wait in the listener's queue, for who hears only of new arrivals:
    /// nobody does where `accept` has just found nobody, whatever else the kernel says.
    pub fn may_go_on(&self, listener: &impl AsFd) -> bool {
        !self.found_nobody && tcp::is_readable(listener)
    }

    /// Lets nobody in for a moment because `action` failed for lack of something; logged at most
    /// once a second.
    pub fn pause(&mut self, action: &str, error: &io::Error) {
        self.pause.begin(action, error);
    }

    /// A stop has come: from now on only those are let in who wait in the listener's queue already,
    /// and only if there is room.
    pub fn end(&mut self, listener: &impl AsFd) {
        self.last.get_or_insert((tcp::waiting(listener), Instant::now() + LAST_ADMISSIONS));
    }

    /// Whether a stop has come and nobody is to be let in any more. A pause passes before that.
    pub fn is_over(&self, open: usize) -> bool {
        self.last.is_some_and(|(last, until)| last == 0 || open >= self.limit || until <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(errno: Errno) -> io::Result<()> {
        Err(errno.into())
    }

    #[test]
    fn an_error_that_nobody_knows_pauses_and_never_spins() {
        for errno in [Errno::ENOSYS, Errno::EPERM, Errno::EMFILE, Errno::ENOBUFS, Errno::EUCLEAN] {
            let mut admission = Admission::new(10);
            let mut calls = 0;
            let accepted = admission.accept(|| {
                calls += 1;
                fail(errno)
            });
            assert!(accepted.is_ok_and(|accepted| accepted.is_none()));
            assert!(calls <= MOST_BROKEN_IN_A_ROW + 1, "{errno}: {calls} calls");
            assert!(!admission.has_room(0), "{errno} begins no pause");
            assert!(admission.until().is_some(), "{errno}: nothing ends the pause");
        }
    }

    #[test]
    fn who_has_found_a_pause_does_not_sleep_beyond_it_even_if_it_has_passed_meanwhile() {
        let mut admission = Admission::new(10);
        admission.pause("do something", &Errno::EMFILE.into());
        assert!(!admission.has_room(0));
        std::thread::sleep(crate::pause::LENGTH);
        assert!(admission.until().is_some_and(|until| until <= Instant::now()));
        assert!(admission.has_room(0) && admission.until().is_none());
    }

    #[test]
    fn connections_that_break_one_by_one_pause_too() {
        let mut admission = Admission::new(10);
        for _ in 0..=MOST_BROKEN_IN_A_ROW {
            assert!(admission.has_room(0));
            let mut results = [fail(Errno::EPERM)].into_iter();
            let accepted = admission.accept(|| results.next().unwrap_or_else(|| fail(Errno::EAGAIN)));
            assert!(accepted.is_ok_and(|accepted| accepted.is_none()));
        }
        assert!(!admission.has_room(0));
    }

    #[test]
    fn a_connection_that_broke_in_the_queue_is_skipped_without_a_pause() {
        let mut admission = Admission::new(10);
        let mut results = [fail(Errno::ECONNABORTED), Ok(())].into_iter();
        let accepted = admission.accept(|| results.next().unwrap_or_else(|| fail(Errno::EAGAIN)));
        assert!(accepted.is_ok_and(|accepted| accepted.is_some()) && admission.has_room(9));
        assert!(!admission.has_room(10), "the limit is the limit");
    }

    #[test]
    fn nobody_in_the_queue_is_no_error_however_it_is_said() {
        for empty in [Errno::EAGAIN.into(), io::ErrorKind::WouldBlock.into()] {
            let mut results = [fail(Errno::ECONNABORTED), Err(empty)].into_iter();
            let accepted = Admission::new(1).accept(|| results.next().unwrap_or(Ok(())));
            assert!(accepted.is_ok_and(|accepted| accepted.is_none()));
        }
    }

    #[test]
    fn who_has_just_found_nobody_does_not_look_again() {
        let (listener, mut client) = std::os::unix::net::UnixStream::pair().unwrap();
        io::Write::write_all(&mut client, b"arrival").unwrap();
        let mut admission = Admission::new(10);
        assert!(admission.accept(|| Ok(())).is_ok() && admission.may_go_on(&listener));
        assert!(admission.accept(|| fail(Errno::EAGAIN)).is_ok() && !admission.may_go_on(&listener));
        assert!(admission.accept(|| fail(Errno::EMFILE)).is_ok() && admission.may_go_on(&listener));
    }

    #[test]
    fn an_unusable_listener_is_told() {
        assert!(Admission::new(1).accept(|| fail(Errno::EBADF)).is_err());
    }
}
