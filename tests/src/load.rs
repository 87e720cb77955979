//! Clients that ask all the time, while something happens to their server.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A load of four clients, each of which asks on a new connection every time. It is killed when the
/// value is dropped.
#[derive(Debug)]
pub struct Load(Option<Child>);

impl Load {
    /// Begins to ask the server at `address`, for `time`, by the client program `client`.
    pub fn start(client: &str, address: SocketAddr, time: &str) -> Self {
        let client = Command::new(client)
            .args(["load", &address.to_string(), "--new-connection-each", "--connections=4"])
            .args(["--duration", time])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(Some(client.expect("the client starts")))
    }

    /// Waits until the time is up, and says how many requests were answered, and the slowest
    /// answer's time as the client tells it.
    ///
    /// # Panics
    /// If a request was not answered, or wrongly.
    #[track_caller]
    pub fn end(mut self) -> (u64, String) {
        let client = self.0.take().expect("it ends once");
        let output = client.wait_with_output().expect("its own child can be waited for");
        let told = String::from_utf8_lossy(&output.stdout);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains("errors: none"), "{told}\n{words}");
        let count = told.split(" requests in ").next().and_then(|told| told.rsplit(' ').next());
        let count = count.and_then(|count| count.parse().ok()).expect("the number of requests is told");
        let slowest = told.lines().find(|line| line.trim().starts_with("response time"));
        let slowest = slowest.and_then(|line| line.rsplit("  ").next()).unwrap_or_default();
        (count, slowest.trim().to_owned())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(client) = &mut self.0 {
            let _ = client.kill();
            let _ = client.wait();
        }
    }
}
