//! `lab series`: the page of a real load whose server was restarted under it, and what is no
//! series.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::thread;

use clap::Parser;
use client::cli::{self, Cli};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::browser;
use crate::harness::{Lab, lab, wait_until};

/// What a browser finds out in the page: the words of what can be hovered over, which of it is
/// marked, how much is drawn, and how wide it is.
const QUESTIONS: &str = r#"<script>
addEventListener('load', () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const left = element => Math.round(element.getBoundingClientRect().left);
  const marked = all('.wrong').map(left);
  for (const details of all('details')) details.open = true;
  parent.document.title = JSON.stringify({
    tips: all('.p title').map(title => title.textContent),
    markedTips: all('.p').filter(p => marked.includes(left(p.querySelector('.hit')))).map(p => p.textContent),
    bars: all('.bar').length, lines: all('.all').filter(it => it.getBoundingClientRect().width > 100).length,
    rows: all('tbody tr').length, requests: performance.getEntriesByType('resource').length,
    width: innerWidth, content: document.documentElement.scrollWidth,
  });
});
</script></body>"#;

/// A server that closes all conversations as soon as it is told to end, and its address.
fn server(address: &str) -> (Lab, String) {
    let mut server = Lab::start(&["serve", "thread", "--listen", address, "--drain-timeout", "0s"]);
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (server, address)
}

/// The series of a load whose server is restarted after its first second.
fn restarted(csv: &Path) {
    let (first, address) = server("127.0.0.1:0");
    let load =
        ["client", "load", &address, "-c", "20", "-r", "400", "-d", "3s", "--interval", "200ms", "--csv"];
    let load = Cli::parse_from(load.into_iter().map(Into::into).chain([csv.as_os_str().to_owned()]));
    let load = thread::spawn(move || cli::run(&load));
    let lines = || fs::read_to_string(csv).map_or(0, |text| text.lines().count());
    wait_until("a second is over", || (lines() > 5).then_some(()));
    kill(first.pid(), Signal::SIGTERM).unwrap();
    first.end();
    let (_second, _) = server(&address);
    wait_until("the load ends", || load.is_finished().then_some(()));
    // Code 1: not all that was due was answered.
    load.join().unwrap();
}

#[test]
fn a_restart_is_seen_at_its_moment_on_narrow_and_wide_screens() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, page) = (folder.path().join("load.csv"), folder.path().join("page.html"));
    restarted(&csv);
    let done = lab(&["series", csv.to_str().unwrap(), "--output", page.to_str().unwrap()]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), "", ""));

    // The truth, by the names of the columns.
    let text = fs::read_to_string(&csv).unwrap();
    let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let column = |name: &str| -> Vec<f64> {
        let index = names.iter().position(|known| *known == name).unwrap();
        text.lines().skip(1).map(|line| line.split(',').nth(index).unwrap().parse().unwrap()).collect()
    };
    let (starts, errors) = (column("start_seconds"), column("errors"));
    let wrong: Vec<String> = starts
        .iter()
        .zip(&errors)
        .filter(|(_, errors)| **errors > 0.0)
        .map(|(start, _)| format!("{start:.2} to "))
        .collect();
    assert!(!wrong.is_empty() && wrong.len() < starts.len(), "{text}");

    let Some(browser) = browser::browser() else {
        let _ = writeln!(std::io::stderr(), "skipped: chromium is not installed");
        return;
    };
    let page = fs::read_to_string(page).unwrap().replacen("</body>", QUESTIONS, 1);
    for width in [390, 1280] {
        let seen = browser::answer_of(&browser, folder.path(), &page, width);
        let list = |name: &str| seen[name].as_array().unwrap().clone();
        // The last interval can be a part of the one before.
        assert!((starts.len() - 1..=starts.len()).contains(&list("tips").len()), "{seen}");
        assert_eq!(list("markedTips").len(), wrong.len(), "{seen}");
        for (tip, start) in list("markedTips").iter().zip(&wrong) {
            let tip = tip.as_str().unwrap();
            assert!(tip.starts_with(start) && !tip.ends_with("errors: none"), "{tip} {start}");
        }
        assert!(seen["bars"].as_u64() >= Some(wrong.len() as u64), "{seen}");
        assert_eq!((&seen["lines"], &seen["requests"]), (&Value::from(5), &Value::from(0)), "{seen}");
        assert_eq!(seen["rows"], list("tips").len(), "{seen}");
        assert!(seen["width"] == width && seen["content"].as_u64() <= seen["width"].as_u64(), "{seen}");
    }

    // A client that was killed leaves a part of a line: the rest is drawn, and with a second one.
    let cut = folder.path().join("cut.csv");
    fs::write(&cut, &text[..text.len() - 3]).unwrap();
    let both = lab(&["series", csv.to_str().unwrap(), cut.to_str().unwrap()]);
    assert_eq!(both.code, Some(0), "{}", both.stderr);
    assert!(both.stdout.contains("cut.csv: the last line was cut off"), "{}", both.stdout);
    assert!(both.stdout.contains("Percentiles cannot be added"));
}

#[test]
fn what_is_no_series_is_refused_with_code_2_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no\nseries");
    let name = path.to_str().unwrap();
    for (content, word) in [("", "it is empty"), ("hello\n", "unix_seconds"), ("{}\n", "line 1: it has no")] {
        fs::write(&path, content).unwrap();
        let refused = lab(&["series", name]);
        assert_eq!((refused.code, refused.stderr.lines().count()), (Some(2), 1), "{}", refused.stderr);
        assert!(refused.stderr.contains(word) && refused.stdout.is_empty(), "{}", refused.stderr);
    }
    let twice = lab(&["series", name, name]);
    assert!(twice.code == Some(2) && twice.stderr.lines().count() == 1, "{}", twice.stderr);
    assert_eq!(lab(&["series", "/no/such/file"]).code, Some(1));
}
