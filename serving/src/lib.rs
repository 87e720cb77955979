//! What a dependable server needs besides the protocol, the same in every model.
//!
//! In reading order: [`options`], [`mod@listen`] and [`limit`] prepare; [`signals`] is where a
//! server sleeps; [`admission`] decides who is let in; [`transform`], [`talk`] and [`silence`] are
//! about one conversation; [`stop`] ends them all; [`tally`] counts.
//!
//! Deliberately absent: threads, event loops, a `Server` trait, callbacks into a server. This crate
//! holds values and functions that each server's `run` calls; accepting, counting and the loop stay
//! visible there, although they repeat.

pub mod admission;
pub mod exit;
pub mod limit;
pub mod listen;
pub mod logging;
mod manager;
pub mod options;
pub mod pause;
pub mod process;
pub mod reports;
pub mod signals;
pub mod silence;
pub mod stop;
pub mod table;
pub mod talk;
pub mod tally;
pub mod tcp;
pub mod terminal;
pub mod transform;

pub use admission::Admission;
pub use exit::{UsageError, exit_code};
pub use limit::{connection_limit, shared_connection_limit};
pub use listen::{accept, announce, announce_stopping, listen};
pub use logging::{LogOptions, start_logging};
pub use options::{ServerOptions, parse};
pub use pause::Pause;
pub use signals::{Bell, Signals, try_wait, wait};
pub use silence::Silence;
pub use stop::Drain;
pub use talk::Talk;
pub use tally::{Outcome, Tally};
pub use transform::Transform;
