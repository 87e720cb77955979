//! Opening a connection, and saying in one line what to do where that fails.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, anyhow};
use nix::errno::Errno;
use serving::options::resolve;

/// How long opening a connection may take. The kernel itself would go on for two minutes
/// (tcp_syn_retries, tcp(7)).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a connection with TCP_NODELAY set: a request that takes more than one write must not wait
/// for an acknowledgement.
///
/// # Errors
/// If there is no connection within 10 seconds: one line, as [`explain_connect`] gives it.
pub fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = open(address).map_err(|error| anyhow!(explain_connect(address, &error)))?;
    stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
    Ok(stream)
}

/// How long each of several addresses is tried.
const TRIAL: Duration = Duration::from_secs(1);

/// Reads the address of a server. Where a name has several, the first that takes a connection is
/// meant, and the first of all if none does.
///
/// # Errors
/// A line that says what is wrong with it.
pub fn parse_server(text: &str) -> Result<SocketAddr, String> {
    let addresses = resolve(text)?;
    let answers = |address: &&SocketAddr| TcpStream::connect_timeout(address, TRIAL).is_ok();
    match addresses[..] {
        [only] => Ok(only),
        _ => Ok(*addresses.iter().find(answers).unwrap_or(&addresses[0])),
    }
}

fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    // Where nobody listens, a local port may be chosen that is the address itself, and TCP then
    // connects the socket to itself (simultaneous open, RFC 9293, 3.5).
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::Error::from(Errno::ECONNREFUSED));
    }
    Ok(stream)
}

/// Says in one line why `address` could not be connected to, and what to do about it. Has no line
/// break and no full stop.
pub fn explain_connect(address: SocketAddr, error: &io::Error) -> String {
    let (why, remedy) = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ECONNREFUSED) => ("connection refused", start_a_server(address)),
        Some(Errno::EMFILE) => (
            "this process has no free descriptor",
            "raise its limit (ulimit -n) or use fewer connections".to_owned(),
        ),
        Some(Errno::ENFILE) => (
            "the system has no free descriptor",
            "close other programs, raise fs.file-max, or use fewer connections".to_owned(),
        ),
        Some(Errno::EADDRNOTAVAIL) if address.is_ipv6() && !has_ipv6() => {
            ("this machine has no IPv6 address", "give an IPv4 address, or switch IPv6 on".to_owned())
        }
        Some(Errno::EADDRNOTAVAIL) => (
            "no free local port",
            "wait a minute until closed connections are forgotten, or use fewer connections or more source addresses"
                .to_owned(),
        ),
        Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => {
            ("unreachable", "check the address and this machine's network".to_owned())
        }
        Some(Errno::EACCES | Errno::EPERM) => {
            ("not permitted", "check the address and this machine's firewall".to_owned())
        }
        _ if error.kind() == ErrorKind::TimedOut => (
            "timed out",
            "check the address; the server's machine may be down, its queue full, or a firewall silent".to_owned(),
        ),
        _ => return format!("cannot connect to {address}: {error}"),
    };
    format!("cannot connect to {address}: {why}; {remedy}")
}

/// Whether this machine has an IPv6 address; where the system does not say, it may.
fn has_ipv6() -> bool {
    // The file is not there where IPv6 is not, and empty where it is switched off.
    match std::fs::read_to_string("/proc/net/if_inet6") {
        Ok(addresses) => !addresses.is_empty(),
        Err(error) => error.kind() != ErrorKind::NotFound || !std::path::Path::new("/proc/net").exists(),
    }
}

/// The remedy where nobody listens: the whole command where the server would run on this machine.
fn start_a_server(address: SocketAddr) -> String {
    let asked = "is a server running there?";
    if address.ip().is_loopback() {
        format!("{asked} Start one: cargo run --release -p server-thread -- --listen {address}")
    } else {
        format!("{asked} Start one on that machine")
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::nobody::nobody;

    fn explained(errno: Errno) -> String {
        explain_connect("127.0.0.1:8080".parse().unwrap(), &errno.into())
    }

    #[test]
    fn each_failure_with_a_remedy_names_it_in_one_line() {
        let remedies = [
            (Errno::ECONNREFUSED, "cargo run --release -p server-thread"),
            (Errno::EMFILE, "ulimit -n"),
            (Errno::ENFILE, "fs.file-max"),
            (Errno::EADDRNOTAVAIL, "wait a minute"),
            (Errno::ENETUNREACH, "check the address"),
            (Errno::EHOSTUNREACH, "check the address"),
            (Errno::EPERM, "firewall"),
            (Errno::ETIMEDOUT, "timed out"),
            (Errno::EPROTO, "cannot connect to 127.0.0.1:8080"),
        ];
        for (errno, remedy) in remedies {
            let line = explained(errno);
            assert!(line.contains(remedy), "{line}");
            assert!(line.starts_with("cannot connect to 127.0.0.1:8080: ") && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_port_where_nobody_listens_is_refused() {
        let error = connect(nobody()).unwrap_err();
        assert!(format!("{error:#}").contains("connection refused"), "{error:#}");
    }

    #[test]
    fn a_connection_sends_small_pieces_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = connect(listener.local_addr().unwrap()).unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
