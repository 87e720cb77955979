//! Slow readers and writers beside clients that come and go: what is kept for a slow one is
//! bounded, and every byte of it arrives.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::models::Model;
use socket2::{Domain, Socket, Type};
use tests::Random;

use super::load::{self, Crowd, Load};
use super::{DEADLINE, Length, Weather, start, stop};
use crate::client::{Client, Said};
use crate::subject::Subject;

/// Slow clients of each kind.
const SLOW: usize = 24;

/// The most memory for a slow client in a server that keeps no process or thread for it, in bytes.
const MOST_BYTES: u64 = 128 * 1024;

/// The most that a slow reader sends, in bytes: more than the kernels keep for both sides.
const MOST_SENT: usize = 16 << 20;

/// Small socket buffers in bytes, so that little is on its way to one who does not read.
const SMALL_BUFFER: usize = 4096;

pub(super) fn storm(subject: &Subject, length: Length<'_>, random: &mut Random) -> Result<Weather> {
    let mut server = start(subject, &["--idle-timeout=0s"])?;
    let address = server.address().context("it listens nowhere")?;
    // What the first clients cost is shared by all.
    let crowd = Crowd { passing: 4, staying: 0, may_be_lost: false };
    let mut weather = Load::around(crowd, address, random.draw(), || {
        thread::sleep(Duration::from_millis(300));
        Ok(())
    })?;
    let slow = (subject.places().saturating_sub(1) / 2).min(SLOW);
    let before = server.pss_bytes();
    let mut most = before;
    let (over, bytes, failed) =
        (AtomicBool::new(false), AtomicU64::new(0), std::sync::Mutex::new(Vec::new()));
    let held_back = AtomicUsize::new(0);
    let found = thread::scope(|scope| {
        for number in 0..2 * slow {
            let (over, bytes, failed, held_back) = (&over, &bytes, &failed, &held_back);
            let seed = random.draw();
            scope.spawn(move || {
                let talked = connect_small(address, seed).map(|mut client| {
                    let said = if number < slow {
                        write_slowly(&mut client, over)
                    } else {
                        read_slowly(&mut client, over, held_back)
                    };
                    bytes.fetch_add(client.checked, Ordering::Relaxed);
                    said
                });
                let said = talked.unwrap_or_else(|said| said);
                if said != Said::Served {
                    failed
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push(format!("a slow client: {said}"));
                }
            });
        }
        let found = Load::around(crowd, address, random.draw(), || {
            // What is kept for a slow reader is seen when it is held back.
            let deadline = Instant::now() + DEADLINE;
            while held_back.load(Ordering::Relaxed) < slow && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(20));
            }
            let is_over = length.begin();
            loop {
                most = most.max(server.pss_bytes());
                if is_over() || server.ended().is_some() {
                    break;
                }
                thread::sleep(Duration::from_millis(250));
            }
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        found
    })?;
    load::add(&mut weather, found);
    weather.bytes += bytes.into_inner();
    weather.events = 2 * slow as u64;
    weather
        .failures
        .extend(failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_iter().take(5));
    judge(subject, most.saturating_sub(before) / (2 * slow as u64).max(1), &mut weather);
    stop(&mut server, &mut weather);
    Ok(weather)
}

/// Whether so many bytes for each slow client are few enough.
fn judge(subject: &Subject, each: u64, weather: &mut Weather) {
    weather.figure = format!("slow clients, {} KiB for each", each / 1024);
    // A process or a thread has pages of its own.
    let without = matches!(
        subject.model(),
        Some(Model::Mio | Model::Hybrid | Model::Tokio | Model::TokioWorkers | Model::Uring)
    );
    if without && each > MOST_BYTES {
        weather.failures.push(format!("{} KiB for a slow client", each / 1024));
    }
}

/// Connects with small buffers.
pub(crate) fn connect_small(address: SocketAddr, seed: u64) -> Result<Client, Said> {
    let connected = || -> std::io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_recv_buffer_size(SMALL_BUFFER)?;
        socket.set_send_buffer_size(SMALL_BUFFER)?;
        socket.connect_timeout(&address.into(), DEADLINE)?;
        Ok(socket.into())
    };
    Client::over(connected().map_err(|error| Said::Lost(error.to_string()))?, seed, DEADLINE)
}

/// A byte at a time.
fn write_slowly(client: &mut Client, over: &AtomicBool) -> Said {
    while !over.load(Ordering::Relaxed) {
        let said = client.ask(1);
        if said != Said::Served {
            return said;
        }
        thread::sleep(Duration::from_millis(20));
    }
    client.finish()
}

/// Sends as much as is taken, and takes hardly any of the answers until the end.
fn read_slowly(client: &mut Client, over: &AtomicBool, held_back: &AtomicUsize) -> Said {
    let said = client.send_until_held_back(MOST_SENT);
    held_back.fetch_add(1, Ordering::Relaxed);
    if said != Said::Served {
        return said;
    }
    while !over.load(Ordering::Relaxed) {
        let said = client.receive_some(10);
        if said != Said::Served {
            return said;
        }
        thread::sleep(Duration::from_millis(50));
    }
    client.finish()
}
