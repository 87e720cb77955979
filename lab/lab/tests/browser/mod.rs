//! A headless browser, in which tests look at the lab's pages.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test file is a crate of its own and uses some of it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No program in these tests runs longer.
const DEADLINE: Duration = Duration::from_secs(120);

/// A program that is killed when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end and returns what it wrote to stdout; stderr is for people.
pub(crate) fn output(command: &mut Command, folder: &Path) -> (bool, String) {
    let path = folder.join("stdout");
    let file = fs::File::create(&path).unwrap();
    let child = command.stdin(Stdio::null()).stdout(file).stderr(Stdio::null()).spawn().unwrap();
    let (mut running, begun) = (Running(child), Instant::now());
    let status = loop {
        match running.0.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(begun.elapsed() < DEADLINE, "{command:?} does not end"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    (status.success(), fs::read_to_string(path).unwrap())
}

pub(crate) fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    folders.iter().flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file())
}

/// The DOM of a page in the browser, once it has come to rest.
pub(crate) fn dom(browser: &Path, folder: &Path, page: &Path, more: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(more)
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()));
    let (ok, dom) = output(&mut command, folder);
    assert!(ok, "the browser failed");
    dom
}

/// What a script in the page has put into `parent.document.title`, as JSON, on a screen of that
/// width.
pub(crate) fn answer_of(browser: &Path, folder: &Path, page: &str, width: u32) -> Value {
    // A frame is as narrow as one wants; a window is not.
    let framed = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame = format!(
        "<title></title><iframe style='width:{width}px;height:800px;border:0' srcdoc=\"{framed}\"></iframe>"
    );
    let path = folder.join("asked.html");
    fs::write(&path, format!("<!DOCTYPE html><meta charset=utf-8>{frame}")).unwrap();
    let dom = dom(browser, folder, &path, &["--window-size=1400,1200", "--virtual-time-budget=20000"]);
    let title = dom.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
    let title = title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&title).unwrap_or_else(|error| panic!("{error}: the page did not answer: {title}"))
}
