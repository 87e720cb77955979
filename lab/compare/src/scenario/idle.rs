//! Silent connections: what does one more cost, in the server and in the kernel?

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::sample::{self, KernelMemory};

use super::requests;
use super::run::Run;
use crate::document::IdleRecord;
use crate::driven::Driven;
use crate::metric::Metric;
use crate::profile::{OneAtATime, Profile};

pub(super) const PROFILE: Profile = Profile {
    title: "Silent connections",
    about: "Every client asks once, so that it is served, and then says nothing more. How much does the memory of the server, and \
            that of the kernel, grow with each of them?",
    connections: [&[200], &[1000], &[100, 1000, 4000]],
    least_connections: 2,
    one_at_a_time: OneAtATime::Not,
    metrics: &[Metric::IdlePss, Metric::IdleKernel, Metric::Memory],
    ..requests::PROFILE
};

/// A server that does not answer in this time is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

const QUESTION: &[u8] = b"idle";

pub(super) fn drive(run: &Run<'_>) -> Result<Driven> {
    // The first conversation makes the server touch pages that all later ones share, so it is not
    // counted.
    let count = run.load.connections - 1;
    let end_bytes = client_end_bytes(count)?;
    let first = ask(run.load.address, run.load.echo)?;
    let (pss, kernel) = weigh(run)?;
    let mut clients = Vec::new();
    for _ in 0..count {
        ensure!(!run.interrupt.raised(), "interrupted");
        clients.push(ask(run.load.address, run.load.echo)?);
    }
    let (footprint, kernel_after) = weigh(run)?;
    drop((first, clients));
    let grown = |after: u64, before: u64| (after as f64 - before as f64) / count as f64;
    let idle = |(after, before)| IdleRecord {
        pss_bytes: grown(after, before),
        kernel_own_bytes: grown(kernel_after.own_bytes, kernel.own_bytes),
        kernel_slab_bytes: grown(kernel_after.slab_bytes, kernel.slab_bytes) - end_bytes,
    };
    Ok(Driven::silent(footprint.pss_bytes.zip(pss.pss_bytes).map(idle), footprint))
}

fn weigh(run: &Run<'_>) -> Result<(sample::Footprint, KernelMemory)> {
    let kernel = sample::kernel_memory(run.server.tree())?;
    Ok((sample::footprint(run.server.tree())?, kernel))
}

/// A connection that is served by now, since it has its answer.
fn ask(address: SocketAddr, echo: bool) -> Result<TcpStream> {
    let mut client = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT).context("cannot connect")?;
    client.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    client.write_all(QUESTION)?;
    let mut answer = [0; QUESTION.len()];
    client.read_exact(&mut answer).context("a client got no answer")?;
    let expected = if echo { QUESTION.to_vec() } else { QUESTION.to_ascii_uppercase() };
    ensure!(answer == *expected, "wrong bytes: {}", answer.escape_ascii());
    Ok(client)
}

/// What the client's end of a connection costs the kernel, in bytes of its slab caches: half of
/// what a pair costs whose ends are both here.
fn client_end_bytes(count: usize) -> Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
    let address = listener.local_addr()?;
    let before = sample::slab_bytes()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(address).context("cannot connect")?;
        let (mut server, _) = listener.accept().context("cannot accept")?;
        client.write_all(QUESTION)?;
        server.read_exact(&mut [0; QUESTION.len()])?;
        server.write_all(QUESTION)?;
        client.read_exact(&mut [0; QUESTION.len()])?;
        pairs.push((client, server));
    }
    let grown = sample::slab_bytes()? as f64 - before as f64;
    drop(pairs);
    Ok(grown / 2.0 / count as f64)
}
