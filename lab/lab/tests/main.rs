//! Tests of the real `lab`, as one program: cargo runs one program of tests after the other, and
//! these wait more than they compute.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod book;
mod browser;
mod compare;
mod examples;
mod foreign;
mod harness;
mod language;
mod lesson;
mod lesson_coroutines;
mod lesson_counter;
mod lesson_deadlock;
mod lesson_event;
mod lesson_gil;
mod lesson_levels;
mod lesson_page;
mod lesson_pool;
mod lesson_queue;
mod lesson_semaphore;
mod lesson_servers;
mod lesson_show;
mod lesson_spawn;
mod lesson_starve;
mod lesson_submit;
mod lesson_threads;
mod lesson_tickets;
mod million;
mod output;
mod report;
mod series;
