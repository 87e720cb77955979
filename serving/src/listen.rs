//! The listening socket, and the words that tell others about it.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{ServerOptions, manager, silence, tcp};

/// Opens the listening socket, non-blocking: one that a service manager hands over, or a new one on
/// `--listen`.
///
/// No-delay and the timeouts are set here and nowhere else: Linux copies them to every socket that
/// is accepted, so they cost no system call per connection. Without no-delay, a reply that takes
/// two writes waits 40 ms for an acknowledgement. A call that blocks comes back after a tick of the
/// idle timeout, if there is one.
///
/// # Errors
/// One line that names the address and what to do.
pub fn listen(options: &ServerOptions) -> Result<TcpListener> {
    let socket = open(options)?;
    // A timeout costs the kernel a timer in every call that sleeps: some three per cent of a small
    // request.
    let tick = silence::tick(options.idle_timeout);
    let prepared = socket
        .set_nonblocking(true)
        .and_then(|()| socket.set_tcp_nodelay(true))
        .and_then(|()| socket.set_read_timeout(tick))
        .and_then(|()| socket.set_write_timeout(tick));
    prepared.context("cannot prepare the listening socket")?;
    Ok(socket.into())
}

fn open(options: &ServerOptions) -> Result<Socket> {
    let mut handed_over = ListenFd::from_env();
    let count = handed_over.len();
    ensure!(
        count <= 1,
        "LISTEN_FDS hands over {count} sockets, and one is served: configure one, or a server for each"
    );
    match handed_over.take_tcp_listener(0).context("cannot use the socket of LISTEN_FDS")? {
        Some(listener) => {
            let socket = Socket::from(listener);
            ensure!(socket.is_listener()?, "the socket of LISTEN_FDS does not listen");
            Ok(socket)
        }
        None => {
            let address = options.listen;
            bind(address, options.backlog)
                .map_err(|error| anyhow::anyhow!("cannot listen on {address}: {}", explain(&error)))
        }
    }
}

fn bind(address: SocketAddr, backlog: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a server bind again while old connections linger in TIME_WAIT; a port on which another
    // server listens stays refused.
    socket.set_reuse_address(true)?;
    // Without SO_REUSEPORT, which would share that port silently.
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// Accepts a client, and never sleeps until there is one ([`tcp::keep_from_blocking`]).
///
/// # Errors
/// Those of accept(2).
pub fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    tcp::keep_from_blocking(listener);
    listener.accept()
}

/// The system's words for an error, and what the user can do about it.
fn explain(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; stop the server that has it, or choose another --listen (port 0 is always free)"
        }
        io::ErrorKind::AddrNotAvailable => "; choose an address of this machine",
        io::ErrorKind::PermissionDenied => {
            "; choose a port from 1024 on, or let a service manager hand over the socket"
        }
        _ => "",
    };
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    format!("{words}{advice}")
}

/// Says that clients can connect now: exactly one line on stdout, then `READY=1` to the service
/// manager, if there is one.
///
/// # Errors
/// If the socket has no address, which a listening one always has.
pub fn announce(listener: &impl AsFd) -> Result<()> {
    let listener = SockRef::from(listener);
    let address = listener.local_addr()?.as_socket().context("the listening socket has no address")?;
    // Nobody may be reading: `println` would panic then, and the server serves all the same.
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush());
    manager::notify("READY=1");
    log::debug!("listening on {address}, no-delay {}", listener.tcp_nodelay().unwrap_or(false));
    Ok(())
}

/// Says `STOPPING=1` to the service manager, if there is one.
pub fn announce_stopping() {
    log::info!("stopping: finishing the open conversations");
    manager::notify("STOPPING=1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_refused_has_a_remedy() {
        let remedies = [
            (libc::EADDRINUSE, "Address already in use; stop the server that has it"),
            (libc::EADDRNOTAVAIL, "Cannot assign requested address; choose an address of this machine"),
            (libc::EACCES, "Permission denied; choose a port from 1024 on"),
        ];
        for (errno, remedy) in remedies {
            let explained = explain(&io::Error::from_raw_os_error(errno));
            assert!(explained.starts_with(remedy), "{explained}");
        }
    }
}
