//! What the commands of the lab promise, in one program: most of these tests wait. What an
//! experiment shows needs the machine for itself: those are programs of their own, one after the
//! other, beside this folder.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../browser/mod.rs"]
mod browser;
#[path = "../lesson/mod.rs"]
mod lesson;

mod book;
mod compare;
mod examples;
mod experiments;
mod foreign;
mod language;
mod lesson_page;
mod million;
mod output;
mod report;
mod series;

use lesson::harness;
