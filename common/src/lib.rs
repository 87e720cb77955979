//! The protocol: one conversation, without a socket, a clock or a thread.
//!
//! In reading order: [`mod@shout`] is what happens to the bytes, [`conversation`] is who says what
//! next, [`mod@drive`] moves a conversation over any byte stream, blocking or not, and [`buffer`]
//! is the memory that is lent to it meanwhile.
//!
//! Deliberately absent: signals, clocks, logs, options, dependencies. What a dependable server needs
//! besides is in the crate `serving`.

pub mod buffer;
pub mod conversation;
pub mod drive;
pub mod shout;

pub use buffer::Buffer;
pub use conversation::{Conversation, Want};
pub use drive::{Progress, Turn, drive};
pub use shout::shout;
