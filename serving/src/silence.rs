//! The idle timeout: how long a peer may neither send nor acknowledge bytes. It is counted in
//! ticks, so a request costs no clock.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::tcp::Info;

/// The idle timeout is counted in this many ticks, so it is late by an eighth at the most. The
/// price is one look at every conversation per tick; a request costs no system call and no timer.
const IDLE_TICKS: u32 = 8;

/// The shortest tick.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// No [`Info::progress`]: nobody has looked since the peer was heard.
const UNKNOWN: u32 = u32::MAX;

/// The length of a tick; `None` where the idle timeout is zero, which means never.
pub fn tick(idle_timeout: Duration) -> Option<Duration> {
    (!idle_timeout.is_zero()).then(|| SHORTEST_TICK.max(idle_timeout / IDLE_TICKS))
}

/// How long one peer has been silent. Ticks are counted by whoever drives the conversation, and may
/// wrap.
#[derive(Debug, Clone, Copy)]
pub struct Silence {
    /// The tick in which the peer was last heard.
    heard: u32,
    /// How far the peer had come at the last look ([`Info::progress`]).
    progress: u32,
}

impl Silence {
    /// A silence that begins at tick `now`.
    pub const fn since(now: u32) -> Self {
        Self { heard: now, progress: UNKNOWN }
    }

    /// The peer was heard at tick `now`.
    #[inline]
    pub fn end(&mut self, now: u32) {
        self.heard = now;
        self.progress = UNKNOWN;
    }

    /// Whether the idle timeout has passed, at tick `now`. To be asked in every tick: while answers
    /// are under way, what the peer acknowledges, or sends to a server that does not read it yet,
    /// ends its silence too, and only the kernel knows of that.
    pub fn is_over(&mut self, now: u32, socket: &impl AsFd) -> bool {
        if now != self.heard && self.progress > 0 {
            let progress = Info::of(socket).map_or(0, |info| info.progress());
            if self.progress != UNKNOWN && progress != self.progress {
                // In the last tick, which has just passed.
                self.heard = now.wrapping_sub(1);
            }
            self.progress = progress;
        }
        now.wrapping_sub(self.heard) > IDLE_TICKS
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, client)
    }

    #[test]
    fn the_idle_timeout_is_over_after_it_and_at_most_an_eighth_later() {
        let timeout = Duration::from_secs(8);
        let length = tick(timeout).unwrap();
        let (socket, _client) = pair();
        let mut silence = Silence::since(u32::MAX);
        let over = (0..20).find(|&passed| silence.is_over(u32::MAX.wrapping_add(passed), &socket)).unwrap();
        // The first tick may pass just after the last event.
        assert!(length * (over - 1) >= timeout && length * over <= timeout + timeout / 8);
        assert_eq!(tick(Duration::ZERO), None);
        assert_eq!(tick(Duration::from_micros(1)), Some(SHORTEST_TICK));
    }

    #[test]
    fn a_peer_that_sends_while_it_is_held_back_is_not_silent() {
        let (mut socket, mut client) = pair();
        socket.set_nonblocking(true).unwrap();
        client.set_nodelay(true).unwrap();
        while socket.write(&[0; 64 * 1024]).is_ok() {}
        let mut silence = Silence::since(0);
        for tick in 1..30 {
            assert!(!silence.is_over(tick, &socket), "it has just sent something that nobody reads");
            client.write_all(b"x").unwrap();
        }
        assert!((30..40).any(|tick| silence.is_over(tick, &socket)), "it sends nothing any more");
    }

    #[test]
    fn a_peer_that_takes_its_bytes_slowly_is_not_silent_and_one_that_stops_taking_them_is() {
        const BYTES: usize = 256 * 1024;
        let (mut socket, client) = pair();
        socket.set_nonblocking(true).unwrap();
        while socket.write(&[0; 64 * 1024]).is_ok() {}
        let mut silence = Silence::since(0);
        let mut ticks = 0;
        let mut passes = |count: u32| {
            (0..count).any(|_| {
                ticks += 1;
                silence.is_over(ticks, &socket)
            })
        };
        for _ in 0..3 {
            (&client).write_all(b"unread").unwrap();
            assert!(!passes(7), "it has just sent something");
        }
        for _ in 0..4 {
            let mut left = BYTES;
            while left > 0 {
                left -= std::io::Read::read(&mut &client, &mut vec![0; left]).unwrap();
            }
            assert!(!passes(7), "its system has just taken something");
        }
        assert!(passes(10), "it takes nothing any more");
    }
}
