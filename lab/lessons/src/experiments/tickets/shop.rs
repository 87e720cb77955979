//! The tickets that are left, in a JSON file, and the lock beside it.
//!
//! The lock is flock(2) on a file of its own that is never deleted: every process opens it itself,
//! so programs that have nothing in common but its path exclude one another, and the kernel gives
//! the lock back when its holder dies, however it dies. The data file cannot be its own lock: it is
//! replaced, and a lock on what was replaced keeps nobody out.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// The names in the folder; the first is the course's.
const DATA: &str = "data.json";
const LOCK: &str = "data.lock";

/// What the data file contains.
#[derive(Debug, Serialize, Deserialize)]
struct Data {
    ticket_num: u64,
}

/// A folder with tickets for sale.
#[derive(Debug)]
pub(super) struct Shop {
    folder: PathBuf,
}

/// The lock, for as long as this lives.
#[derive(Debug)]
pub(super) struct Locked(File);

impl Shop {
    /// The shop in `folder`. With `tickets`, and only if there is none yet, it is opened for
    /// business.
    pub(super) fn open(folder: &Path, tickets: u64) -> Result<Self> {
        let shop = Self { folder: folder.to_owned() };
        let locked = shop.lock()?;
        if !shop.path(DATA).try_exists()? {
            shop.sell(&locked, tickets, || Ok(()))?;
        }
        Ok(shop)
    }

    /// The shop in `folder`, as it is.
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How many tickets are left. An error if the file is torn.
    pub(super) fn left(&self) -> Result<u64> {
        let path = self.path(DATA);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let data: Data =
            serde_json::from_slice(&text).with_context(|| format!("{} is torn", path.display()))?;
        Ok(data.ticket_num)
    }

    /// Waits for the lock.
    pub(super) fn lock(&self) -> Result<Locked> {
        let file = self.lock_file()?;
        file.lock().context("cannot lock")?;
        Ok(Locked(file))
    }

    /// Whether somebody has the lock.
    pub(super) fn is_locked(&self) -> Result<bool> {
        match self.lock_file()?.try_lock() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error).context("cannot lock"),
        }
    }

    fn lock_file(&self) -> Result<File> {
        let path = self.path(LOCK);
        let opened = File::options().create(true).append(true).open(&path);
        opened.with_context(|| format!("cannot open {}", path.display()))
    }

    /// From now on so many are left. Whoever reads sees the old file or the new one, and a crash
    /// leaves one of them (fsync(2), rename(2)). `middle` is called when half of the new file is
    /// written.
    pub(super) fn sell(
        &self,
        _locked: &Locked,
        left: u64,
        middle: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        // What somebody who was killed has left under this name is written over: only who has the
        // lock is here.
        self.replace(&self.path("data.json.new"), left, middle)
    }

    /// The same without the lock: the file is whole, but what was read before may be no longer
    /// true.
    pub(super) fn sell_without_lock(&self, left: u64) -> Result<()> {
        self.replace(&self.path(&format!("data.json.{}", process::id())), left, || Ok(()))
    }

    fn replace(&self, new: &Path, left: u64, middle: impl FnOnce() -> Result<()>) -> Result<()> {
        let file = File::create(new).with_context(|| format!("cannot make {}", new.display()))?;
        write_in_halves(file, left, middle)?;
        fs::rename(new, self.path(DATA)).context("cannot replace the data file")?;
        // The new name is in the folder, and the folder on the disk.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).context("cannot write the folder")
    }

    /// The same as the course does it, into the file itself: it is empty, then half, then whole.
    pub(super) fn sell_in_place(
        &self,
        _locked: &Locked,
        left: u64,
        middle: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let path = self.path(DATA);
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        write_in_halves(file, left, middle)
    }

    /// The folder a user named: it must exist, or its parent must.
    pub(super) fn make_folder(folder: &Path) -> Result<()> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(error).with_context(|| format!("cannot make --shop {}", folder.display()))
            }
            _ => {
                ensure!(folder.is_dir(), "--shop {} is no folder", folder.display());
                Ok(())
            }
        }
    }
}

fn write_in_halves(mut file: File, left: u64, middle: impl FnOnce() -> Result<()>) -> Result<()> {
    let text = serde_json::to_vec(&Data { ticket_num: left })?;
    let (first, second) = text.split_at(text.len() / 2);
    file.write_all(first).context("cannot write")?;
    middle()?;
    file.write_all(second).and_then(|()| file.sync_all()).context("cannot write")
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing the file would do it too.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_keeps_its_tickets_and_its_lock_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::open(folder.path(), 3).unwrap();
        let other = Shop::open(folder.path(), 99).unwrap();
        assert_eq!(other.left().unwrap(), 3);
        let locked = shop.lock().unwrap();
        assert!(other.is_locked().unwrap());
        shop.sell(&locked, 2, || Ok(())).unwrap();
        drop(locked);
        assert!(!other.is_locked().unwrap());
        assert_eq!(other.left().unwrap(), 2);
    }

    #[test]
    fn in_the_middle_of_a_sale_a_reader_sees_the_old_file_and_one_written_in_place_torn() {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::open(folder.path(), 3).unwrap();
        let locked = shop.lock().unwrap();
        let old = || {
            assert_eq!(shop.left()?, 3);
            Ok(())
        };
        shop.sell(&locked, 2, old).unwrap();
        let torn = || {
            assert!(shop.left().is_err());
            Ok(())
        };
        shop.sell_in_place(&locked, 1, torn).unwrap();
        assert_eq!(shop.left().unwrap(), 1);
    }
}
