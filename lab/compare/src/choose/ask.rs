//! The four questions: as options for a script, asked one after another at a terminal.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use harness::lang::Lang;
use serving::UsageError;
use serving::options::parse_duration;

use super::rule::Needs;
use super::texts::{Ask, Texts};

/// The most clients that can be asked for.
const MOST_CLIENTS: u64 = 10_000_000;

/// What a terminal proposes.
const CLIENTS: &str = "100";

/// What is asked of the server.
#[derive(Debug, Clone, Args)]
pub struct Questions {
    /// Clients, all connected at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_CLIENTS), help_heading = "Questions")]
    clients: Option<u64>,

    /// How many of them are silent most of the time [default: none]
    #[arg(short, long, value_name = "N", help_heading = "Questions")]
    silent: Option<u64>,

    /// How long each request computes, such as 20us [default: it does not]
    #[arg(long, value_name = "TIME", value_parser = parse_work, help_heading = "Questions")]
    computes: Option<Duration>,

    /// How long each request waits for something else, such as 5ms for a database [default: it does
    /// not]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Questions")]
    waits: Option<Duration>,

    /// Whether a crash must end no other client's conversation [default: no]
    #[arg(long, value_name = "YES|NO", num_args = 0..=1, default_missing_value = "yes", help_heading = "Questions")]
    confined: Option<Confined>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Confined {
    Yes,
    No,
}

/// As long as a server can be told to compute.
fn parse_work(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        time if time <= Duration::from_secs(1) => Ok(time),
        _ => Err("takes a time of at most 1s".to_owned()),
    }
}

impl Questions {
    /// What the options say, and for the rest what the user answers at a terminal.
    ///
    /// # Errors
    /// A [`UsageError`] if nobody can be asked how many clients there are, or an answer makes no
    /// sense.
    pub fn ask(&self, lang: Lang) -> Result<Needs> {
        let all = self.clients.is_some();
        let asks = !all && io::stdin().is_terminal() && io::stderr().is_terminal();
        if !all && !asks {
            let how = "say how many --clients there are; the other questions are --silent, --computes, --waits, --confined";
            return Err(UsageError(how.to_owned()).into());
        }
        // Who answers one question on the command line is not asked the others: a script stays a
        // script.
        let mut needs = Needs {
            clients: self.clients.unwrap_or(1),
            silent: self.silent.unwrap_or(0),
            computes: self.computes.unwrap_or_default(),
            waits: self.waits.unwrap_or_default(),
            confined: self.confined == Some(Confined::Yes),
        };
        if asks {
            self.interview(&mut needs, &Texts::of(lang).ask)?;
        }
        if needs.silent > needs.clients {
            let more = format!(
                "{} of {} clients cannot be silent: --silent is too large",
                needs.silent, needs.clients
            );
            return Err(UsageError(more).into());
        }
        Ok(needs)
    }

    fn interview(&self, needs: &mut Needs, asks: &Ask) -> Result<()> {
        needs.clients = question(asks, asks.clients, CLIENTS, |text| {
            text.parse()
                .ok()
                .filter(|clients| (1..=MOST_CLIENTS).contains(clients))
                .ok_or_else(|| (asks.number)(1, MOST_CLIENTS))
        })?;
        if self.silent.is_none() {
            let clients = needs.clients;
            needs.silent = question(asks, asks.silent, "0", |text| {
                text.parse().ok().filter(|silent| *silent <= clients).ok_or_else(|| (asks.number)(0, clients))
            })?;
        }
        if self.computes.is_none() && self.waits.is_none() {
            let parse = |text: &str| parse_doing(text).ok_or_else(|| asks.doing.to_owned());
            (needs.computes, needs.waits) = question(asks, asks.does, "no", parse)?;
        }
        if self.confined.is_none() {
            let parse = |text: &str| parse_yes(text).ok_or_else(|| asks.yes.to_owned());
            needs.confined = question(asks, asks.confined, "no", parse)?;
        }
        Ok(())
    }
}

/// `no`, `20us`, `wait 5ms`.
fn parse_doing(text: &str) -> Option<(Duration, Duration)> {
    match (text, text.strip_prefix("wait")) {
        ("no" | "neither" | "0", _) => Some((Duration::ZERO, Duration::ZERO)),
        (_, Some(time)) => {
            let time = time.trim_start_matches('s').trim();
            parse_duration(time).ok().map(|time| (Duration::ZERO, time))
        }
        (time, None) => parse_work(time).ok().map(|time| (time, Duration::ZERO)),
    }
}

fn parse_yes(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

/// Asks until the answer makes sense; an empty one is the default. On stderr, so that the answer
/// alone is on stdout.
fn question<T>(
    asks: &Ask,
    question: &str,
    default: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T> {
    loop {
        write!(io::stderr(), "{question} [{default}] ").context("cannot ask")?;
        let mut line = String::new();
        let count = io::stdin().lock().read_line(&mut line).context("cannot read the answer")?;
        if count == 0 {
            return Err(UsageError("the questions were not answered".to_owned()).into());
        }
        let answer = if line.trim().is_empty() { default } else { line.trim() };
        match parse(answer) {
            Ok(value) => return Ok(value),
            Err(takes) => writeln!(io::stderr(), "  {}", (asks.again)(&takes)).context("cannot ask")?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_people_give_them() {
        let (none, computes, waits) = (Duration::ZERO, Duration::from_micros(20), Duration::from_millis(5));
        for (text, expected) in [
            ("no", (none, none)),
            ("20us", (computes, none)),
            ("wait 5ms", (none, waits)),
            ("waits 5ms", (none, waits)),
        ] {
            assert_eq!(parse_doing(text), Some(expected), "{text}");
        }
        for nonsense in ["", "maybe", "wait", "2s", "-1us"] {
            assert!(parse_doing(nonsense).is_none(), "{nonsense}");
        }
        assert_eq!((parse_yes("Y"), parse_yes("no")), (Some(true), Some(false)));
        assert!(parse_yes("perhaps").is_none());
    }
}
