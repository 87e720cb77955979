//! A queue with a bounded number of places, for any number of producers and consumers that share no
//! memory: two named pipes.
//!
//! One carries the items; what is written in one piece of at most PIPE_BUF bytes arrives in one
//! piece (pipe(7)). A pipe is bounded, too, but by bytes, some 64 KiB, and rounded to pages. So the
//! other carries places, a byte each: who puts an item in takes one, who takes an item out gives
//! one back. GNU make's job server counts so; Python's `multiprocessing.Queue(maxsize)` is a pipe
//! and a semaphore.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// The names in the folder.
const ITEMS: &str = "items";
const PLACES: &str = "places";

/// An item is a number of so many bytes, less than PIPE_BUF.
const ITEM: usize = size_of::<u64>();

/// The queue for who made it, who keeps it open.
#[derive(Debug)]
pub(super) struct Keeper {
    _items: File,
    _places: File,
}

/// The end of a producer.
#[derive(Debug)]
pub(super) struct Producer {
    items: File,
    places: File,
}

/// The end of a consumer.
#[derive(Debug)]
pub(super) struct Consumer {
    items: File,
    places: File,
}

impl Keeper {
    /// Makes an empty queue in `folder`; so many items fit in, less than a pipe has bytes. Until
    /// this is dropped nobody finds it closed.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn make(folder: &Path, capacity: usize) -> Result<Self> {
        for name in [ITEMS, PLACES] {
            mkfifo(&folder.join(name), Mode::S_IRUSR | Mode::S_IWUSR).context("cannot make a named pipe")?;
        }
        // For reading and writing: then Linux does not wait for somebody to open the other end
        // (fifo(7)).
        let open = |name| File::options().read(true).write(true).open(folder.join(name));
        let opened = open(ITEMS).and_then(|items| Ok((items, open(PLACES)?)));
        let (items, mut places) = opened.context("cannot open a named pipe")?;
        places.write_all(&vec![0; capacity]).context("cannot fill the places in")?;
        Ok(Self { _items: items, _places: places })
    }
}

impl Producer {
    /// Opens the queue in `folder`, which its keeper has open.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let items = File::options().write(true).open(folder.join(ITEMS)).context("cannot open the items")?;
        Ok(Self { items, places: File::open(folder.join(PLACES)).context("cannot open the places")? })
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// If there is nobody any more who could give one back.
    pub(super) fn take_place(&mut self) -> Result<()> {
        self.places.read_exact(&mut [0]).context("all consumers have gone")
    }

    /// Puts an item in a place that was taken.
    ///
    /// # Errors
    /// If there is nobody any more who could take it.
    pub(super) fn put(&mut self, item: u64) -> Result<()> {
        // One write, so that it arrives whole.
        self.items.write_all(&item.to_ne_bytes()).context("all consumers have gone")
    }
}

impl Consumer {
    /// Opens the queue in `folder`, which its keeper has open.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let items = File::open(folder.join(ITEMS)).context("cannot open the items")?;
        let places =
            File::options().write(true).open(folder.join(PLACES)).context("cannot open the places")?;
        Ok(Self { items, places })
    }

    /// Takes the oldest item, and waits for one while there is none; `None` if there is no producer
    /// any more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn take(&mut self) -> Result<Option<u64>> {
        let mut item = [0; ITEM];
        match self.items.read_exact(&mut item) {
            Ok(()) => Ok(Some(u64::from_ne_bytes(item))),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error).context("cannot take an item"),
        }
    }

    /// The place of an item that was taken is free.
    ///
    /// # Errors
    /// If it cannot be written. That no producer is left is none.
    pub(super) fn give_place_back(&mut self) -> Result<()> {
        match self.places.write_all(&[0]) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).context("cannot give a place back")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn items_arrive_in_their_order_and_the_end_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::make(folder.path(), 2).unwrap();
        let mut producer = Producer::open(folder.path()).unwrap();
        let mut consumer = Consumer::open(folder.path()).unwrap();
        drop(keeper);
        thread::scope(|scope| {
            scope.spawn(move || {
                for item in 0..50 {
                    producer.take_place().unwrap();
                    producer.put(item).unwrap();
                }
            });
            for item in 0..50 {
                assert_eq!(consumer.take().unwrap(), Some(item));
                consumer.give_place_back().unwrap();
            }
            assert_eq!(consumer.take().unwrap(), None);
        });
    }

    #[test]
    fn a_producer_whose_consumers_have_gone_does_not_wait_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::make(folder.path(), 1).unwrap();
        let mut producer = Producer::open(folder.path()).unwrap();
        drop(Consumer::open(folder.path()).unwrap());
        drop(keeper);
        producer.take_place().unwrap();
        assert!(producer.put(1).is_err());
        assert!(producer.take_place().is_err());
    }
}
