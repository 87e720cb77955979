//! The options that every server has.

use std::env;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Resettable;
use clap::{Args, ColorChoice, Command, Parser};

use crate::logging::LogOptions;
use crate::terminal;

/// The longest time that an option takes: a year. Longer ones are typing errors, and would overflow
/// a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What every server can be told, the same in each.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    /// Address to listen on, as IP:PORT with an IPv6 address in brackets; port 0 picks a free one
    ///
    /// `[::]:8080` serves IPv6 and IPv4. Ignored where a service manager hands over a socket
    /// (LISTEN_FDS).
    #[arg(long, env = "SHOUT_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    #[arg(value_parser = parse_listen_address, help_heading = "Listening")]
    pub listen: SocketAddr,

    /// Connections that may wait in the kernel's queue; net.core.somaxconn bounds it
    #[arg(long, env = "SHOUT_BACKLOG", value_name = "N", default_value_t = 4096)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_535), help_heading = "Listening")]
    pub backlog: u32,

    /// Conversations open at once; surplus clients wait in the kernel's queue [default: what the
    /// descriptor limit allows]
    #[arg(long, env = "SHOUT_MAX_CONNECTIONS", value_name = "N")]
    #[arg(value_parser = parse_count::<10_000_000>, help_heading = "Limits")]
    pub max_connections: Option<usize>,

    /// Close a peer that neither sends nor acknowledges bytes for this long, such as 90s or 5m; 0s
    /// means never
    #[arg(long, env = "SHOUT_IDLE_TIMEOUT", value_name = "TIME", default_value = "60s")]
    #[arg(value_parser = parse_duration, help_heading = "Limits")]
    pub idle_timeout: Duration,

    /// At a stop, let open conversations go on for this long; they end when their clients pause
    #[arg(long, env = "SHOUT_DRAIN_TIMEOUT", value_name = "TIME", default_value = "10s")]
    #[arg(value_parser = parse_duration, help_heading = "Limits")]
    pub drain_timeout: Duration,

    /// Also compute for this long, such as 20us, with each piece of bytes that is received; a small
    /// request is one piece
    #[arg(long, env = "SHOUT_WORK", value_name = "TIME", default_value = "0s")]
    #[arg(value_parser = parse_duration, help_heading = "Work")]
    pub work: Duration,

    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
}

/// What the long help of a server ends with: commands that a shell takes as they are.
#[macro_export]
macro_rules! examples {
    ($server:literal) => {
        concat!(
            "Examples:\n  ",
            $server,
            "  # on 127.0.0.1:8080, until Ctrl-C\n  ",
            $server,
            " --listen '[::]:0' -v  # on all interfaces, on a free port, which it prints\n  ",
            $server,
            " --idle-timeout 5m --drain-timeout 30s 2>> server.log\n  ",
            "env SHOUT_LISTEN=127.0.0.1:8081 ",
            $server,
            "  # each option is a variable too"
        )
    };
}

/// The same command for a program that is installed under another name, which its examples then
/// say.
pub fn renamed(command: Command, name: &str) -> Command {
    let Some(examples) = command.get_after_long_help().map(ToString::to_string) else { return command };
    let own = command.get_name().to_owned();
    // A name at a word's beginning that is followed by a word: not the one in a file's name.
    let lines = examples.lines().map(|line| line.replacen(&format!(" {own} "), &format!(" {name} "), 1));
    command.after_long_help(lines.collect::<Vec<_>>().join("\n"))
}

/// Reads the command line and the environment of a program. A variable that is empty counts as one
/// that is not set.
pub fn parse<T: Parser>() -> T {
    let is_empty = |name: &std::ffi::OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    let called = env::args_os().next().map(PathBuf::from);
    let called = called.as_deref().and_then(|path| path.file_name()?.to_str());
    let command = T::command();
    let command = match called {
        Some(called) => renamed(command, called),
        None => command,
    };
    let mut command = command.mut_args(|arg| match arg.get_env() {
        Some(name) if is_empty(name) => arg.env(Resettable::Reset),
        _ => arg,
    });
    if terminal::is_dumb() {
        command = command.color(ColorChoice::Never);
    }
    let parsed = T::from_arg_matches_mut(&mut command.get_matches_mut());
    parsed.unwrap_or_else(|error| error.format(&mut command).exit())
}

/// Reads an address to listen on: a socket address, or a name that has only one. An IPv6 address
/// may have a scope, as `[fe80::1%eth0]:80`.
///
/// # Errors
/// A line that says what is wrong with it, or which addresses there are to choose from.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    match resolve(text)?[..] {
        [address] => Ok(address),
        ref several => {
            let several: Vec<String> = several.iter().map(SocketAddr::to_string).collect();
            Err(format!("this name has several addresses, choose one of {}", several.join(", ")))
        }
    }
}

/// All addresses that a text stands for, at least one, each once, in the order in which the system
/// prefers them.
///
/// # Errors
/// A line that says what is wrong with the text, or why the name is not known.
pub fn resolve(text: &str) -> Result<Vec<SocketAddr>, String> {
    const EXAMPLE: &str = "such as 127.0.0.1:8080 or [::1]:8080";
    if text.contains("://") {
        return Err(format!("is a URL: give IP:PORT or NAME:PORT, {EXAMPLE}"));
    }
    let parts = text.strip_prefix('[').and_then(|text| text.split_once("]:")).or(text.rsplit_once(':'));
    let Some((host, port)) = parts else {
        return Err(format!("has no port: give IP:PORT or NAME:PORT, {EXAMPLE}"));
    };
    let Ok(port) = port.parse::<u16>() else {
        return Err(format!("has no port from 0 to 65535 at its end: give IP:PORT, {EXAMPLE}"));
    };
    // An IPv6 address must stand in brackets, since colons cannot tell where its port begins.
    if host.is_empty() || (host.contains(':') && !text.starts_with('[')) {
        return Err(format!("takes IP:PORT or NAME:PORT, {EXAMPLE}"));
    }
    let resolved = (host, port).to_socket_addrs();
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in resolved.map_err(|error| format!("cannot find the address of {host}: {error}"))? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(format!("{host} has no address")) } else { Ok(addresses) }
}

/// Reads a time with its unit, such as `500ms` or `2m 30s`, of at most a year.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err("takes a time with its unit, such as 500ms, 60s or 5m, of at most a year".to_owned()),
    }
}

/// Reads a count from 1 to `MOST`.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_count<const MOST: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("takes a whole number from 1 to {MOST}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_is_at_most_a_year() {
        for (text, seconds) in [("0s", 0), ("1m 30s", 90), ("365d", 31_536_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "60", "-1s", "365d 1ns", "366d", "99999999999999999999y"] {
            assert!(parse_duration(text).is_err_and(|error| error.contains("such as 500ms")), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        let wrong = [
            "",
            "8080",
            ":8080",
            "::1:8080",
            "[::1]",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "http://localhost:80",
        ];
        for text in wrong {
            assert!(resolve(text).is_err_and(|error| error.contains("such as 127.0.0.1:8080")), "{text}");
        }
        assert_eq!(resolve("[::1]:80"), Ok(vec!["[::1]:80".parse().unwrap()]));
    }
}
