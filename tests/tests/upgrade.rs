//! Promises to operators: a server is replaced under load, and no request is lost.
#![allow(
    clippy::print_stdout,
    reason = "how long the slowest answer took is of interest, and promised nowhere"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tests::{Client, Launch, Load, Model, Server, eventually, promises};

promises!(an_upgrade_with_a_listener_that_is_handed_over_loses_no_request);

const CLIENT: &str = env!("CARGO_BIN_EXE_tested-client");

/// How long nothing happens, so that each server has all the clients for a while.
const CALM: Duration = Duration::from_millis(300);

/// The successor listens before its predecessor is told to stop, on the very same socket: who waits
/// in its queue is served by one of the two.
fn an_upgrade_with_a_listener_that_is_handed_over_loses_no_request(model: Model) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    let start = || {
        let listener = listener.try_clone().expect("there is a descriptor");
        Launch::of(model).listen(None).handed_over(listener).start()
    };
    let mut server = start();
    let load = Load::start(CLIENT, address, "1500ms");
    let mut served = Vec::new();
    for _ in 0..2 {
        server.eventually_counts("clients are served", |tally| tally.completed > 50);
        let successor = start();
        served.push(std::mem::replace(&mut server, successor).stop().completed);
    }
    let (count, slowest) = load.end();
    served.push(server.stop().completed);
    println!(
        "{model:?}: {count} requests, no errors, the slowest took {slowest}; served by each: {served:?}"
    );
    // The client looks first whether the server answers; and it leaves in the middle of a request.
    assert!((count..count + 10).contains(&served.iter().sum()), "all that was served was answered");
    assert!(served[2] > 0, "the load had ended before the upgrade did");
}

/// HAProxy with the configuration of this repository, on free ports. It is killed when the value is
/// dropped.
struct Proxy {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Proxy {
    /// In front of these servers, each with more `options` of HAProxy's.
    fn start(servers: &[SocketAddr], options: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/haproxy/haproxy.cfg");
        let mut text = fs::read_to_string(path).expect("the configuration is here");
        let mut change = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} is not in it");
            text = text.replace(from, to);
        };
        change("bind 127.0.0.1:8080", "bind fd@3");
        change("/run/haproxy/admin.sock", &folder.path().join("admin.sock").display().to_string());
        for (server, own) in servers.iter().zip(["127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083"]) {
            change(own, &format!("{server} {options}"));
        }
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, text).expect("there is room");
        let process = Command::new("sh")
            .args(["-c", "exec 3<&0 </dev/null; exec haproxy -db -f \"$0\""])
            .arg(path)
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was there a moment ago");
        let proxy = Self { process, address, folder };
        eventually("HAProxy says something", || !proxy.ask("show info").is_empty());
        proxy
    }

    /// What it answers to a command on its administrators' socket.
    fn ask(&self, command: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut socket) = UnixStream::connect(self.folder.path().join("admin.sock")) {
            let _ = writeln!(socket, "{command}");
            let _ = socket.read_to_string(&mut answer);
        }
        answer
    }

    /// How many clients are connected to one of its servers.
    fn sessions(&self, server: &str) -> u64 {
        let table = self.ask("show stat");
        let line = table.lines().find(|line| line.starts_with(&format!("servers,{server},")));
        let sessions = line.and_then(|line| line.split(',').nth(4)?.parse().ok());
        sessions.unwrap_or_else(|| panic!("no {server} in {table}"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn haproxy_is_missing() -> bool {
    tests::skip_without(&[(&["haproxy", "-v"], "there is no haproxy")])
}

#[test]
fn a_rolling_restart_behind_haproxy_loses_no_request() {
    if haproxy_is_missing() {
        return;
    }
    let models =
        [tests::promises!(@model mio), tests::promises!(@model thread), tests::promises!(@model fork)];
    let mut servers = models.map(|model| Server::start(model, &[]));
    let proxy = Proxy::start(&servers.each_ref().map(Server::address), "");
    let load = Load::start(CLIENT, proxy.address, "4s");
    let mut served = 0;
    for (index, server) in servers.iter_mut().enumerate() {
        let name = format!("shout{}", index + 1);
        thread::sleep(CALM);
        // The book's steps: no new clients, wait for those that are there, restart, clients again.
        assert_eq!(proxy.ask(&format!("set server servers/{name} state drain")).trim(), "");
        eventually("its clients have left", || proxy.sessions(&name) == 0);
        let listen = server.address().to_string();
        let successor = || Launch::of(models[index]).listen(Some(&listen)).start();
        server.signal(tests::Signal::SIGTERM);
        eventually("the port is free", || TcpStream::connect(&listen).is_err());
        served += std::mem::replace(server, successor()).stopped().completed;
        assert_eq!(proxy.ask(&format!("set server servers/{name} state ready")).trim(), "");
    }
    thread::sleep(CALM);
    let after = servers.each_ref().map(|server| server.status().completed);
    let (count, slowest) = load.end();
    served += servers.map(|server| server.stop().completed).iter().sum::<u64>();
    println!("{count} requests, no errors, the slowest took {slowest}; after the restarts: {after:?}");
    // Its health checks are conversations too, without a word.
    assert!(served >= count, "{served} conversations for {count} requests");
    assert!(after.iter().all(|&count| count > 0), "one was not asked again: {after:?}");
}

#[test]
fn the_header_of_the_proxy_protocol_comes_back_like_any_other_bytes() {
    if haproxy_is_missing() {
        return;
    }
    let server = Server::start(tests::promises!(@model mio), &[]);
    let address = server.address();
    let proxy = Proxy::start(&[address, address, address], "send-proxy");
    let client = Client::connect(proxy.address);
    client.send(b"hello");
    client.stream().shutdown(std::net::Shutdown::Write).expect("it is open");
    let answer = client.receive_to_end();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("PROXY TCP4 127.0.0.1 ") && answer.ends_with("\r\nHELLO"), "{answer}");
    server.stop();
}
