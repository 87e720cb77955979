//! What the lab and its client processes say to each other: lines of JSON, over pipes.

use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a client process is told when it is started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    /// Where the server listens.
    pub(super) address: SocketAddr,
    /// Its first source address, and how many there are from there on.
    pub(super) source: Ipv4Addr,
    pub(super) sources: u32,
    /// The number of its first connection among all, and how many it has.
    pub(super) first: u64,
    pub(super) connections: u32,
    /// How many it opens, or closes, at once.
    pub(super) opening: usize,
    /// How many requests it has in flight at once in the sweep.
    pub(super) asking: usize,
    /// What its requests and their order are drawn from.
    pub(super) seed: u64,
}

/// What a client process is to do next, with all of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Open them, and greet the server on each: a connection counts as open when its greeting is
    /// answered.
    Open,
    /// Ask once on each, in random order.
    Ask,
    /// End the output of each, and read to the end.
    Close,
}

/// What a client process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// It is there, and has what it needs but the connections.
    Ready,
    /// With how many connections it has done what it was told; not more often than every tenth of a
    /// second.
    Progress(u64),
    /// It has done what it was told.
    Done(Account),
}

/// How an order was carried out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Account {
    /// With how many connections it went well.
    pub(super) done: u64,
    /// With how many not, and what happened to the first of them.
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
    /// When it began and when it was done, in nanoseconds of CLOCK_MONOTONIC, which all processes
    /// share.
    pub(super) began_ns: u64,
    pub(super) ended_ns: u64,
    /// Pairs of a time in nanoseconds and how often it took that long: each from the first system
    /// call to the last byte.
    pub(super) times: Vec<(u64, u64)>,
}

/// Says it, as one line.
///
/// # Errors
/// If nobody listens.
pub(super) fn say(out: &mut impl Write, word: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).context("cannot speak to a process")
}

/// Waits for the next line; `None` if there is none any more.
///
/// # Errors
/// If it cannot be read or understood.
pub(super) fn hear<T: DeserializeOwned>(input: &mut impl BufRead) -> Result<Option<T>> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line).context("cannot listen to a process")?;
    // A last line without its end: whoever wrote it was killed.
    if !line.ends_with(b"\n") {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line).context("cannot understand a process")?))
}
