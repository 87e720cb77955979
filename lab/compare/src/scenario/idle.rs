//! Silent connections: what does one more cost, in the server and in the kernel?

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::sample::{self, KernelMemory};
use serving::limit::raise_descriptors;

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

/// Pairs that use up what the kernel's caches have free, and the most of those that are weighed.
const FILLERS: usize = 200;
const MOST_PAIRS: usize = 1_000;

pub(super) fn drive(run: &Run<'_>) -> Result<Driven> {
    // The first conversation makes the server touch pages that all later ones share, so it is not
    // counted.
    let count = run.load.connections - 1;
    let pairs = Pairs::weigh(count)?;
    let first = ask(run.load.address, run.load.echo)?;
    let (pss, kernel) = weigh(run)?;
    let mut clients = Vec::new();
    for _ in 0..count {
        ensure!(!run.interrupt.raised(), "interrupted");
        clients.push(ask(run.load.address, run.load.echo)?);
    }
    let (footprint, kernel_after) = weigh(run)?;
    drop((first, clients));
    let end_bytes = pairs.end_bytes;
    drop(pairs);
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

/// Pairs whose ends are both here, and what one end costs the kernel, in bytes of its slab caches.
///
/// They are kept until the server has been weighed: what they give back would be given to the
/// clients and to the server, whose sockets would then seem to cost nothing.
struct Pairs {
    _held: Vec<(TcpStream, TcpStream)>,
    end_bytes: f64,
}

impl Pairs {
    /// Half of what as many pairs cost as there will be clients, or a good sample of them.
    fn weigh(clients: usize) -> Result<Self> {
        // Where that fails or is not enough, connecting will say so.
        let _ = raise_descriptors();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        let address = listener.local_addr()?;
        // What is free in the caches is used up first.
        let mut held = (0..FILLERS).map(|_| pair(&listener, address)).collect::<Result<Vec<_>>>()?;
        let before = sample::slab_bytes()?;
        let count = clients.clamp(1, MOST_PAIRS);
        for _ in 0..count {
            held.push(pair(&listener, address)?);
        }
        let grown = sample::slab_bytes()? as f64 - before as f64;
        Ok(Self { _held: held, end_bytes: grown / 2.0 / count as f64 })
    }
}

/// Two ends that have talked to each other.
fn pair(listener: &TcpListener, address: SocketAddr) -> Result<(TcpStream, TcpStream)> {
    let mut client = TcpStream::connect(address).context("cannot connect")?;
    let (mut server, _) = listener.accept().context("cannot accept")?;
    client.write_all(QUESTION)?;
    server.read_exact(&mut [0; QUESTION.len()])?;
    server.write_all(QUESTION)?;
    client.read_exact(&mut [0; QUESTION.len()])?;
    Ok((client, server))
}
