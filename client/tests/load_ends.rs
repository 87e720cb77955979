//! `client load` ends in time, whatever the server does, and at once when somebody wants it to.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{deaf_server, mute_server, server};

/// Half a second, and what a busy machine takes to run anything at all.
const AT_ONCE: Duration = Duration::from_millis(1_500);

fn load(address: SocketAddr, arguments: &[&str]) -> Child {
    let address = address.to_string();
    Command::new(env!("CARGO_BIN_EXE_client"))
        .args([&["load", address.as_str()], arguments].concat())
        .env_remove("SHOUT_CONNECT")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How long a client goes on after a signal that it gets in the middle of what it does.
fn until_ended(mut client: Child, signal: Signal) -> Duration {
    thread::sleep(Duration::from_millis(700));
    assert_eq!(client.try_wait().unwrap(), None, "it has ended before the signal");
    kill(Pid::from_raw(i32::try_from(client.id()).unwrap()), signal).unwrap();
    let told = Instant::now();
    client.wait().unwrap();
    told.elapsed()
}

#[test]
fn a_signal_ends_it_in_every_phase() {
    let (good, (deaf, _full)) = (server(), deaf_server());
    let phases: [(&str, SocketAddr, &[&str]); 8] = [
        ("connecting", deaf, &["-c", "50"]),
        ("looking for the server", deaf, &["--new-connection-each"]),
        ("waiting for the start", good, &["--start-in", "1h"]),
        ("waiting for a file", good, &["--start-when", "/nowhere/begin"]),
        ("warming up", good, &["--warm-up", "1h"]),
        ("measuring", good, &["--duration", "1h"]),
        ("asking at a rate that nobody can send", good, &["--duration", "1h", "--rate", "1e9"]),
        ("waiting for the last answers", mute_server(), &["--duration", "100ms", "--timeout", "1h"]),
    ];
    thread::scope(|scope| {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            for (phase, address, arguments) in phases {
                scope.spawn(move || {
                    let took = until_ended(load(address, arguments), signal);
                    assert!(took < AT_ONCE, "{phase}: {took:?} after {signal}");
                });
            }
        }
    });
}

#[test]
fn without_a_signal_it_ends_when_its_time_and_its_patience_do() {
    let begun = Instant::now();
    let mut client = load(mute_server(), &["-c", "3", "-r", "1e9", "-d", "500ms", "--timeout", "500ms"]);
    assert_eq!(client.wait().unwrap().code(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(1) + AT_ONCE, "{:?}", begun.elapsed());
}
