//! Tests of the real `client`, as one program: cargo runs one program of tests after the other, and
//! these wait more than they compute.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hold;
mod load;
mod load_ends;
mod merge;
mod output;
mod pipe;
mod support;
mod talk;
