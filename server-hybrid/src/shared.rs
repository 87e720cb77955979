//! Memory that all processes of the server share, and a lock in it that survives the death of who holds it.

#![allow(unsafe_code, reason = "shared memory and robust mutexes have no safe wrapper")]

use std::cell::UnsafeCell;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// PTHREAD_MUTEX_ROBUST of pthread.h, which the `libc` crate does not name for Linux; the same in glibc and musl.
const ROBUST: libc::c_int = 1;

/// What is said once, about the whole server.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Sum {
    pub(crate) lock: Lock,
    /// Places that are held: the sum of every entry's `held`. Changed under the lock.
    pub(crate) taken: AtomicU64,
    /// How many entries want a place. Changed under the lock.
    pub(crate) wanting: AtomicU64,
}

/// What is said about one event loop. It has cache lines of its own, because its loop writes it all the time.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Entry {
    /// Accepted, completed, failed, timed out, as the loop has published them.
    pub(crate) counts: [AtomicU64; 4],
    /// Places that the loop holds: one for each conversation that is open or handed over and not yet taken over, and what it has
    /// in hand to accept with. Changed under the lock.
    pub(crate) held: AtomicU64,
    /// Conversations that the loop has handed over.
    pub(crate) handed_over: AtomicU64,
    /// How many of them others have taken over, with their places. Changed under the lock.
    pub(crate) taken_over: AtomicU64,
    /// Conversations on their way to the loop. An estimate, for who compares loads.
    pub(crate) coming: AtomicU64,
    /// Which life of the loop this is: counts those that its parent has buried.
    pub(crate) life: AtomicU64,
    /// Whether clients may wait in the loop's queue for a place that was not there. Changed under the lock.
    pub(crate) wants: AtomicBool,
    /// Whether the loop takes clients over.
    pub(crate) serves: AtomicBool,
}

/// Memory for one [`Sum`] and `loops` entries, all zero, which children share with their parent. It is never given back.
///
/// # Errors
/// If the system has no memory.
pub(crate) fn map(loops: usize) -> io::Result<(&'static Sum, &'static [Entry])> {
    let bytes = size_of::<Sum>() + loops * size_of::<Entry>();
    let length = NonZeroUsize::new(bytes).expect("a sum has a size");
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping that the kernel places is nobody else's memory.
    let start = unsafe { mmap_anonymous(None, length, access, MapFlags::MAP_SHARED) }?;
    let sum = start.cast::<Sum>();
    // SAFETY: the mapping is page-aligned, large enough, never unmapped; of all fields zero is a value, and all are atomics but
    // the lock, which is made below, before anybody else knows of it.
    let sum: &'static Sum = unsafe { sum.as_ref() };
    // SAFETY: the entries follow the sum, whose size is a multiple of their alignment, within the mapping.
    let first = unsafe { start.cast::<u8>().add(size_of::<Sum>()) }.cast::<Entry>();
    // SAFETY: as for the sum.
    let entries = unsafe { slice::from_raw_parts(first.as_ptr(), loops) };
    sum.lock.init()?;
    Ok((sum, entries))
}

/// A robust mutex (pthread_mutexattr_setrobust(3)): where a process is killed while it holds it, the next one gets it all the same,
/// and learns of that.
#[repr(transparent)]
pub(crate) struct Lock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a process-shared mutex is made to be used by several threads at once.
unsafe impl Sync for Lock {}

/// The right to change what is changed under the lock.
#[derive(Debug)]
pub(crate) struct Guard<'a>(&'a Lock, PhantomData<*const ()>);

impl Lock {
    fn init(&self) -> io::Result<()> {
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: it initialises what the pointer, which is valid, points to.
        check(unsafe { libc::pthread_mutexattr_init(attributes) })?;
        // SAFETY: the attributes are initialised.
        check(unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) })?;
        // SAFETY: the attributes are initialised.
        check(unsafe { libc::pthread_mutexattr_setrobust(attributes, ROBUST) })?;
        // SAFETY: the memory is a mutex's, stays where it is for ever, and nobody uses it yet.
        check(unsafe { libc::pthread_mutex_init(self.0.get(), attributes) })
    }

    /// Waits for the lock. The second value is true where its owner has died, so that what it protects must be looked through.
    ///
    /// # Panics
    /// If the lock is broken, which it cannot be.
    pub(crate) fn lock(&self) -> (Guard<'_>, bool) {
        // SAFETY: `map` has initialised it, and it is never moved or destroyed.
        let result = unsafe { libc::pthread_mutex_lock(self.0.get()) };
        let owner_died = result == libc::EOWNERDEAD;
        if owner_died {
            // SAFETY: this thread holds it.
            let _ = unsafe { libc::pthread_mutex_consistent(self.0.get()) };
        }
        assert!(owner_died || result == 0, "the lock is broken: {}", io::Error::from_raw_os_error(result));
        (Guard(self, PhantomData), owner_died)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread holds it, since a guard is not `Send`: it was locked where it is dropped.
        let _ = unsafe { libc::pthread_mutex_unlock(self.0.0.get()) };
    }
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lock")
    }
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

#[cfg(test)]
mod tests {
    use std::{mem, thread};

    use super::*;

    #[test]
    fn a_lock_whose_owner_has_died_can_be_had_and_says_so_once() {
        let (sum, entries) = map(3).unwrap();
        assert_eq!(entries.len(), 3);
        assert!(!sum.lock.lock().1);
        thread::spawn(|| mem::forget(sum.lock.lock())).join().unwrap();
        assert!(sum.lock.lock().1);
        assert!(!sum.lock.lock().1);
    }
}
