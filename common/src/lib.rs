//! What every server shares: the conversation, and the rules around it that must be the same everywhere.
//!
//! In reading order: [`mod@shout`] and [`conversation`] are the protocol without I/O; [`mod@drive`] moves it over a socket, blocking or not;
//! [`options`], [`mod@listen`], [`accept`], [`signals`], [`stop`] and [`tally`] are the values and functions that each server's
//! `run` calls.
//!
//! Deliberately absent: threads, processes, event loops, a `Server` trait. This crate decides nothing about concurrency; the
//! accepting, counting and sleeping stay visible in each server, although they repeat.

pub mod accept;
pub mod buffer;
pub mod conversation;
pub mod drive;
pub mod exit;
pub mod limit;
pub mod listen;
pub mod logging;
pub mod options;
pub mod process;
pub mod shout;
pub mod signals;
pub mod silence;
pub mod stop;
pub mod tally;
pub mod work;

pub use accept::{AcceptPause, one_waits};
pub use buffer::Buffer;
pub use conversation::{Conversation, Want};
pub use drive::{Progress, Turn, converse, drive, show};
pub use exit::{UsageError, exit_code};
pub use limit::{connection_limit, shared_connection_limit};
pub use listen::{announce, announce_stopping, listen, listen_many};
pub use logging::{LogOptions, start_logging};
pub use options::ServerOptions;
pub use shout::shout;
pub use signals::{Bell, Signals, wait};
pub use tally::{Outcome, Tally};
