//! A server that behaves until `accept` fails, and then does wrong what `MISBEHAVE` says: the tests
//! see that each wrong is called so. A stop ends it at once.

use std::ffi::OsString;
use std::io::{self, Read, Write, stderr, stdout};
use std::net::{TcpListener, TcpStream};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;

static FAILED: AtomicBool = AtomicBool::new(false);

/// What a server is told; this one listens to none of it.
#[derive(Debug, Clone, Args)]
pub struct MisbehaveOptions {
    /// Options of a server
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

/// Serves until it is stopped.
///
/// # Errors
/// If it cannot listen, or nobody reads what it says.
pub fn run(_: &MisbehaveOptions) -> io::Result<bool> {
    let manner = std::env::var("MISBEHAVE").unwrap_or_default();
    let is_deaf = manner == "is deaf";
    ctrlc::set_handler(move || {
        if !(is_deaf && FAILED.load(Ordering::SeqCst)) {
            process::exit(0);
        }
    })
    .map_err(io::Error::other)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(stdout(), "listening on {}", listener.local_addr()?)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let is_wrong = manner == "is wrong";
                thread::spawn(move || serve(stream, is_wrong && FAILED.load(Ordering::SeqCst)));
            }
            Err(_) => fail(&manner),
        }
    }
}

fn fail(manner: &str) {
    let has_said_so = FAILED.swap(true, Ordering::SeqCst);
    match manner {
        "spins" => {}
        "dies" => process::exit(3),
        "hangs" => loop {
            thread::park();
        },
        "floods" => {
            let _ = stderr().write_all(&b"a line\n".repeat(1000));
        }
        // As a server should.
        _ => {
            if !has_said_so {
                let _ = writeln!(stderr(), "cannot accept; trying again in 100 ms");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn serve(mut stream: TcpStream, is_wrong: bool) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if !is_wrong {
            buffer[..count].make_ascii_uppercase();
        }
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}
