//! Both together: real servers, and many real clients at once, each a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{DEADLINE, Launch, Model, Random, Server, promises, shouted};

promises!(
    many_talkers_at_once_are_all_answered,
    many_talkers_that_are_interrupted_have_lost_nothing,
    files_go_through_at_once_and_come_back_in_upper_case,
    loads_at_once_find_every_byte_right,
    a_crowd_that_comes_and_goes_is_served_to_the_last_one,
    a_stop_amid_clients_is_clean_on_both_sides,
);

const CLIENT: &str = env!("CARGO_BIN_EXE_tested-client");

/// Clients that run at once, where the model serves as many.
const CLIENTS: usize = 8;

/// How often a client's end is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// A client process. It is killed when the value is dropped, so none outlives a test that fails.
struct Running(Option<Child>);

impl Running {
    fn start(server: &Server, command: &str, options: &[&str], input: Stdio) -> Self {
        let child = Command::new(CLIENT)
            .arg(command)
            .arg(server.address().to_string())
            .args(options)
            .env_clear()
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client starts");
        Self(Some(child))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is not finished")
    }

    /// Waits until it has printed `count` lines.
    fn wait_for_lines(&mut self, count: usize) {
        let output = self.child().stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(output).lines();
        let seen = lines.by_ref().take(count).filter(Result::is_ok).count();
        assert_eq!(seen, count, "lines before its end");
        // It goes on printing, and must not wait for a reader.
        thread::spawn(move || lines.for_each(drop));
    }

    /// Waits for its end.
    fn output(mut self) -> Output {
        let child = self.0.take().expect("it is finished once");
        let pid = i32::try_from(child.id()).expect("a process number is positive");
        let waiting = thread::spawn(move || child.wait_with_output());
        let deadline = Instant::now() + DEADLINE;
        while !waiting.is_finished() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        let in_time = waiting.is_finished();
        if !in_time {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let output = waiting.join().expect("the waiter ends").expect("its own child can be waited for");
        assert!(in_time, "the client did not exit; stderr: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Waits for its end, which must be a good one; returns what it printed.
    fn succeed(self) -> (String, String) {
        let output = self.output();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "stdout: {out}\nstderr: {err}");
        (out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn many_talkers_at_once_are_all_answered(model: Model) {
    let server = Server::start(model, &[]);
    let start = |_| Running::start(&server, "talk", &["--count", "40", "--interval", "0s"], Stdio::null());
    let clients: Vec<Running> = (0..CLIENTS).map(start).collect();
    for client in clients {
        let (out, err) = client.succeed();
        assert_eq!(out, "HELLO BABY\n".repeat(40));
        assert_eq!(err, "answered 40 of 40\n");
    }
    assert_eq!(server.stop().completed, CLIENTS as u64);
}

fn many_talkers_that_are_interrupted_have_lost_nothing(model: Model) {
    let server = Server::start(model, &[]);
    let start = |_| Running::start(&server, "talk", &["--interval", "1ms"], Stdio::null());
    let mut clients: Vec<Running> = (0..model.at_once(CLIENTS)).map(start).collect();
    let count = clients.len() as u64;
    clients.iter_mut().for_each(|client| client.wait_for_lines(10));
    for client in &mut clients {
        let pid = i32::try_from(client.child().id()).expect("a process number is positive");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("its own child can be signalled");
    }
    for client in clients {
        let (_, err) = client.succeed();
        let counts = err.trim().strip_prefix("answered ").and_then(|counts| counts.split_once(" of "));
        let (answered, sent) = counts.unwrap_or_else(|| panic!("it says: {err}"));
        assert_eq!(answered, sent, "an answer was under way and is lost");
    }
    let tally = server.stop();
    assert_eq!((tally.accepted, tally.completed), (count, count), "{tally:?}");
}

fn files_go_through_at_once_and_come_back_in_upper_case(model: Model) {
    const BYTES: usize = 3_000_017;
    let server = Server::start(model, &[]);
    let folder = tempfile::tempdir().expect("there is room for a file");
    let files: Vec<Vec<u8>> = (1..=4).map(|seed| Random::new(seed).bytes(BYTES)).collect();
    let start = |(index, bytes): (usize, &Vec<u8>)| {
        let path = folder.path().join(index.to_string());
        fs::write(&path, bytes).expect("there is room for a file");
        let file = fs::File::open(&path).expect("it was just written");
        Running::start(&server, "pipe", &[], Stdio::from(file))
    };
    let clients: Vec<Running> = files.iter().enumerate().map(start).collect();
    for (client, bytes) in clients.into_iter().zip(&files) {
        let output = client.output();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        // Not assert_eq: nobody wants to read megabytes.
        assert!(output.stdout == shouted(bytes), "a file came back wrong");
    }
    assert_eq!(server.stop().completed, files.len() as u64);
}

/// Each load has bytes of its own, so an answer to another's request would be found.
fn loads_at_once_find_every_byte_right(model: Model) {
    let server = Server::start(model, &[]);
    let start = |seed: usize| {
        let seed = seed.to_string();
        let options = ["-c", "1", "-p", "4", "-s", "777", "-n", "2000", "-d", "15s", "--seed", &seed];
        Running::start(&server, "load", &options, Stdio::null())
    };
    let clients: Vec<Running> = (1..=model.at_once(4)).map(start).collect();
    let count = clients.len() as u64;
    for client in clients {
        let (out, _) = client.succeed();
        assert!(out.contains("2000 requests in "), "{out}");
    }
    assert_eq!(server.stop().completed, count);
}

/// More at once than there are places, each for one request: all of them are served in the end.
fn a_crowd_that_comes_and_goes_is_served_to_the_last_one(model: Model) {
    let server = Launch::of(model).limit(2).start();
    let start = |seed: usize| {
        let seed = seed.to_string();
        let options = ["--new-connection-each", "-c", "4", "-n", "150", "-d", "15s", "--seed", &seed];
        Running::start(&server, "load", &options, Stdio::null())
    };
    let clients: Vec<Running> = (1..=4).map(start).collect();
    let count = clients.len() as u64;
    for client in clients {
        let (out, _) = client.succeed();
        assert!(out.contains("150 requests in "), "{out}");
    }
    let tally = server.stop();
    assert!(tally.completed >= 150 * count, "{tally:?}");
}

/// A client whose server stops has lost its connection, and says so; what it had asked before is
/// answered.
fn a_stop_amid_clients_is_clean_on_both_sides(model: Model) {
    // They never pause.
    let server = Server::start(model, &["--drain-timeout=1s"]);
    let start = |_| Running::start(&server, "talk", &["--interval", "1ms"], Stdio::null());
    let mut clients: Vec<Running> = (0..model.at_once(CLIENTS)).map(start).collect();
    clients.iter_mut().for_each(|client| client.wait_for_lines(5));
    let count = clients.len() as u64;
    let tally = server.stop();
    assert_eq!((tally.completed, tally.failed), (count, 0), "{tally:?}");
    for client in clients {
        let output = client.output();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.starts_with("error: ") && err.contains("\nanswered "), "{err}");
        assert!(!err.contains("panicked"), "{err}");
    }
}
