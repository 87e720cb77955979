//! What would make a load fail half-way, looked at before the first connection: descriptors, local
//! ports, the server.

use std::fs;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serving::UsageError;
use serving::limit::raise_descriptors;

use super::options::LoadOptions;
use super::{LOOK, StopHandle};
use crate::connect::explain_connect;

/// Descriptors for other things than connections: standard streams, files, and what the program
/// around the load has open.
const RESERVED_DESCRIPTORS: usize = 32;

/// Descriptors of one worker: poll, its copy, waker, alarm.
const DESCRIPTORS_PER_WORKER: usize = 4;

/// Where the system says which local ports it gives out (ip(7)).
const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Raises the soft descriptor limit to the hard one, and checks that it suffices.
///
/// # Errors
/// A [`UsageError`] that names the remedy.
pub(super) fn descriptors(options: &LoadOptions) -> anyhow::Result<()> {
    let hard = raise_descriptors()?;
    let own = RESERVED_DESCRIPTORS + options.useful_threads() * DESCRIPTORS_PER_WORKER;
    let connections = options.connections;
    if connections.saturating_add(own) > hard {
        let fewer = match hard.saturating_sub(own) {
            0 => String::new(),
            most => format!("ask for at most {most}, or "),
        };
        return Err(UsageError(format!(
            "--connections {connections} needs {} descriptors, and this process may open {hard}: \
             {fewer}raise the hard limit (ulimit -Hn, LimitNOFILE=)",
            connections.saturating_add(own)
        ))
        .into());
    }
    Ok(())
}

/// Checks that there are local ports for all connections at once; others may still take them.
///
/// # Errors
/// A [`UsageError`] that names the remedy.
pub(super) fn ports(options: &LoadOptions) -> Result<(), UsageError> {
    // Where the system does not say, it is found out by trying.
    let Some(range) = fs::read_to_string(PORT_RANGE).ok().as_deref().and_then(ports_in) else {
        return Ok(());
    };
    let (connections, sources) = (options.connections, options.source.len().max(1));
    if connections <= range.saturating_mul(sources) {
        return Ok(());
    }
    Err(UsageError(format!(
        "--connections {connections} needs more local ports than the {range} that this system gives to each address: \
         ask for fewer, give more addresses (--source), or widen net.ipv4.ip_local_port_range"
    )))
}

fn ports_in(range: &str) -> Option<usize> {
    let mut ends = range.split_ascii_whitespace().map(str::parse::<usize>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(high.checked_sub(low)? + 1)
}

/// Checks that the addresses to connect from are this machine's.
///
/// # Errors
/// A [`UsageError`] that names the first one that is not.
pub(super) fn sources(options: &LoadOptions) -> Result<(), UsageError> {
    // A datagram socket binds where a stream would, and leaves nothing behind.
    match options.source.iter().find(|source| UdpSocket::bind((**source, 0)).is_err()) {
        None => Ok(()),
        Some(source) => Err(UsageError(format!(
            "--source {source} is not an address of this machine: give one that `ip address` shows"
        ))),
    }
}

/// Opens one connection and closes it, to know that there is a server.
///
/// # Errors
/// One line that says what to do; also if somebody stops it meanwhile.
pub(super) fn server(address: SocketAddr, patience: Duration, stop: &StopHandle) -> anyhow::Result<()> {
    // In a thread of its own, since nothing else than time ends an attempt.
    let (sender, receiver) = channel();
    thread::Builder::new()
        .spawn(move || sender.send(TcpStream::connect_timeout(&address, patience).map(drop)))
        .context("cannot start a thread")?;
    while !stop.is_stopped() {
        match receiver.recv_timeout(LOOK) {
            Ok(result) => return result.map_err(|error| anyhow!(explain_connect(address, &error))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    bail!("stopped before {address} had taken a connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_range_counts_both_ends() {
        assert_eq!(ports_in("32768\t60999\n"), Some(28_232));
        assert_eq!(ports_in("60999 32768"), None);
        assert_eq!(ports_in(""), None);
    }

    #[test]
    fn too_many_connections_are_refused_with_the_remedy() {
        let mut options = LoadOptions::new("127.0.0.1:1".parse().unwrap());
        options.connections = usize::MAX;
        assert!(descriptors(&options).unwrap_err().to_string().contains("ulimit -Hn"));
        assert!(ports(&options).unwrap_err().to_string().contains("--source"));
    }
}
