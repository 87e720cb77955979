//! Tests of the protocol, as one program.

mod buffer;
mod conversation;
mod corpus;
mod operations;
mod turn;
