//! Two ways to create a thread, and what may cross to one: what a chapter of the book shows.
//!
//! The course: `Thread(target=task, args=('jason',))`, and a class that inherits from `Thread` and
//! has a method `run`.
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::io;
use std::thread;

// ANCHOR: closure
fn from_a_closure(name: String) -> io::Result<thread::JoinHandle<usize>> {
    // `move`: the name goes to the thread, which may live longer than this function.
    thread::Builder::new().spawn(move || {
        println!("{name} is running");
        name.len()
    })
}
// ANCHOR_END: closure

// ANCHOR: struct
struct MyThread {
    name: String,
}

impl MyThread {
    fn run(self) -> usize {
        println!("{} is running", self.name);
        self.name.len()
    }
}

fn from_a_struct(worker: MyThread) -> io::Result<thread::JoinHandle<usize>> {
    thread::Builder::new().spawn(|| worker.run())
}
// ANCHOR_END: struct

fn main() -> io::Result<()> {
    let threads =
        [from_a_closure("jason".to_owned())?, from_a_struct(MyThread { name: "kevin".to_owned() })?];
    for thread in threads {
        println!("it returned {}", thread.join().unwrap_or(0));
    }
    Ok(())
}
