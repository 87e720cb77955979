//! What the tests of the experiments have in common: the lab is run, and what it recorded is read from its JSON.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test file is a crate of its own and uses some of it"
)]

use std::env;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::lesson::trace::{Lane, Trace};
use serde_json::Value;

/// No experiment in these tests takes longer, also on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const LAB: &str = env!("CARGO_BIN_EXE_lab");

/// A lab that is killed when the test fails.
pub(crate) struct Lab(pub(crate) Child);

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A lesson as JSON.
#[derive(Debug)]
pub(crate) struct Lesson(pub(crate) Value);

impl Lab {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(&env::temp_dir(), arguments)
    }

    /// One that makes its files in this folder, for a test that kills it.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(LAB);
        command
            .args(arguments)
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        // Read meanwhile: JSON is larger than a pipe.
        let mut stdout = self.0.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        let status = wait_until("the lab ends", || self.0.try_wait().unwrap());
        let mut ended =
            Ended { code: status.code(), stdout: reader.join().unwrap().unwrap(), stderr: String::new() };
        self.0.stderr.take().unwrap().read_to_string(&mut ended.stderr).unwrap();
        ended
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn lab(arguments: &[&str]) -> Ended {
    Lab::start(arguments).end()
}

pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < DEADLINE, "waited too long until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs an experiment whose observation must be the expected one.
pub(crate) fn lesson(arguments: &[&str]) -> Lesson {
    let ended = lab(&[&["run", "--json=-"], arguments].concat());
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.stderr, ended.stdout);
    lesson_of(&ended)
}

pub(crate) fn lesson_of(ended: &Ended) -> Lesson {
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    Lesson(document["lessons"][0].clone())
}

impl Lesson {
    pub(crate) fn variant(&self, name: &str) -> &Value {
        let variants = self.0["variants"].as_array().unwrap();
        variants.iter().find(|variant| variant["name"] == name).unwrap_or_else(|| panic!("no variant {name}"))
    }

    pub(crate) fn variants(&self) -> Vec<&str> {
        self.0["variants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|variant| variant["name"].as_str().unwrap())
            .collect()
    }

    pub(crate) fn figure(&self, variant: &str, name: &str) -> &Value {
        let figure = &self.variant(variant)["figures"][name];
        assert!(!figure.is_null(), "{variant} has no figure {name}");
        figure
    }

    pub(crate) fn count(&self, variant: &str, name: &str) -> u64 {
        self.figure(variant, name).as_u64().unwrap()
    }

    /// What was recorded.
    pub(crate) fn trace(&self, variant: &str) -> Trace {
        Trace::new(serde_json::from_value::<Vec<Lane>>(self.variant(variant)["lanes"].clone()).unwrap())
    }
}
