//! The listening socket, and the words that tell others about it.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, ensure};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{ServerOptions, work};

/// Opens the listening socket, non-blocking: one that a service manager hands over, or a new one on `--listen`.
///
/// No-delay and the idle timeouts are set here and nowhere else: Linux copies them to every socket that is accepted, so they
/// cost no system call per connection. Without no-delay, a reply that takes two writes waits 40 ms for an acknowledgement.
///
/// # Errors
/// One line that names the address and what to do.
pub fn listen(options: &ServerOptions) -> Result<TcpListener> {
    prepare(open(options)?.0, options)
}

/// Opens `count` listening sockets on one address, among which the kernel spreads the clients by a hash of their addresses
/// (SO_REUSEPORT, socket(7)); at least one. One that a service manager hands over cannot be multiplied: each of them is that one.
///
/// The first is bound and listens *without* SO_REUSEPORT, and so is refused where anybody else listens, whatever he has set; his
/// own is refused if he comes later. Only then it lets its siblings in. If it did so between bind and listen, two servers that start
/// at the same moment would share the address: both may bind, since neither listens yet, and the kernel asks again at listen.
///
/// # Errors
/// Those of [`listen`].
pub fn listen_many(options: &ServerOptions, count: usize) -> Result<Vec<TcpListener>> {
    let (first, handed_over) = open(options)?;
    if count > 1 && !handed_over {
        first.set_reuse_port(true)?;
    }
    let bound = first.local_addr()?.as_socket().context("the listening socket has no address")?;
    let mut listeners = vec![prepare(first, options)?];
    while listeners.len() < count {
        let socket = if handed_over {
            listeners[0].try_clone()?.into()
        } else {
            bind(bound, options.backlog, true).map_err(|error| refused(bound, &error))?
        };
        listeners.push(prepare(socket, options)?);
    }
    Ok(listeners)
}

/// A socket that listens, and whether a service manager has handed it over.
fn open(options: &ServerOptions) -> Result<(Socket, bool)> {
    match ListenFd::from_env().take_tcp_listener(0).context("cannot use the socket of LISTEN_FDS")? {
        Some(listener) => {
            let socket = Socket::from(listener);
            ensure!(socket.is_listener()?, "the socket of LISTEN_FDS does not listen");
            Ok((socket, true))
        }
        None => match bind(options.listen, options.backlog, false) {
            Ok(socket) => Ok((socket, false)),
            Err(error) => Err(refused(options.listen, &error)),
        },
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!("cannot listen on {address}: {}", explain(error))
}

/// Sets what every listening socket has, whoever bound it.
fn prepare(socket: Socket, options: &ServerOptions) -> Result<TcpListener> {
    // Here, because every server comes by, and before it serves or forks.
    work::ask(options.burn);
    // A timeout costs the kernel a timer in every call that sleeps: some three per cent of a small request.
    let idle = (!options.idle_timeout.is_zero()).then_some(options.idle_timeout);
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(idle)?;
    socket.set_write_timeout(idle)?;
    Ok(socket.into())
}

fn bind(address: SocketAddr, backlog: u32, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a server bind again while old connections linger in TIME_WAIT; a port on which another server listens stays refused.
    socket.set_reuse_address(true)?;
    // Without SO_REUSEPORT, which would share that port silently: see `listen_many`.
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
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

/// Says that clients can connect now: exactly one line on stdout, then `READY=1` to the service manager, if there is one.
///
/// # Errors
/// If the socket has no address, which a listening one always has.
pub fn announce(listener: &TcpListener) -> Result<()> {
    let address = listener.local_addr()?;
    // Nobody may be reading: `println` would panic then, and the server serves all the same.
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush());
    notify(&[NotifyState::Ready]);
    let queue = SockRef::from(listener);
    log::debug!("listening on {address}, no-delay {}", queue.tcp_nodelay().unwrap_or(false));
    Ok(())
}

/// Says `STOPPING=1` to the service manager, if there is one.
pub fn announce_stopping() {
    log::info!("stopping: finishing the open conversations");
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("cannot notify the service manager: {error}");
    }
}
