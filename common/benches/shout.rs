//! The transformation beside a plain copy of the same bytes: `cargo bench -p common`.
//!
//! Each size is measured in alternating rounds, so that both see the same machine; the best round
//! of each counts. The copy is the speed of memory: `shout` reads and writes every byte once, and
//! so does the copy.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Bytes moved in one measured round.
const ROUND_BYTES: usize = 256 << 20;
const ROUNDS: usize = 7;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:>10}  {:>12}  {:>12}  {:>6}", "chunk", "shout GiB/s", "copy GiB/s", "ratio")?;
    for size in [64, 1 << 10, 16 << 10, 128 << 10, 1 << 20, 64 << 20] {
        let mut chunk: Vec<u8> = (0..=255).cycle().take(size).collect();
        let source = chunk.clone();
        let (mut shout, mut copy) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            shout = shout.min(time(size, || common::shout(black_box(&mut chunk))));
            copy = copy.min(time(size, || black_box(&mut chunk).copy_from_slice(black_box(&source))));
        }
        let rate = |time: Duration| ROUND_BYTES as f64 / time.as_secs_f64() / f64::from(1 << 30);
        let (shout, copy) = (rate(shout), rate(copy));
        writeln!(out, "{size:>10}  {shout:>12.1}  {copy:>12.1}  {:>6.2}", shout / copy)?;
    }
    Ok(())
}

fn time(size: usize, mut work: impl FnMut()) -> Duration {
    let begun = Instant::now();
    for _ in 0..ROUND_BYTES / size {
        work();
    }
    begun.elapsed()
}
