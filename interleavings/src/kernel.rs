//! What the pieces ask of the system, and of the parts of the workspace that are not checked.
//!
//! A system call is one step: nobody sees half of it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::sync::{Arc, Mutex, Sleeper};

#[derive(Default)]
struct Kernel {
    lock: Mutex<()>,
    sleepers: std::sync::Mutex<Vec<Sleeper>>,
    /// Whether a signal has interrupted the one thread of a process.
    in_handler: AtomicBool,
    handlers: std::sync::Mutex<Vec<(i32, Handler)>>,
    sockets: AtomicUsize,
    nonblocking: AtomicBool,
    zombies: std::sync::Mutex<VecDeque<process::Pid>>,
}

type Handler = Arc<dyn Fn() + Send + Sync>;

loom::lazy_static! {
    static ref KERNEL: Kernel = Kernel::default();
}

/// A step of the system.
pub(crate) fn call<R>(step: impl FnOnce() -> R) -> R {
    if KERNEL.in_handler.load(Ordering::Relaxed) {
        return step();
    }
    let _one_at_a_time = KERNEL.lock.lock();
    let result = step();
    KERNEL.sleepers.lock().unwrap().drain(..).for_each(Sleeper::wake);
    result
}

/// Sleeps in the system until it `is_so`.
fn sleep_until(is_so: impl Fn() -> bool) {
    loop {
        let one_at_a_time = KERNEL.lock.lock();
        if is_so() {
            return;
        }
        let me = Sleeper::new();
        KERNEL.sleepers.lock().unwrap().push(me.clone());
        drop(one_at_a_time);
        me.sleep();
    }
}

/// A signal interrupts the one thread of a process between two steps, which goes on after the
/// handler.
pub(crate) fn interrupt(handler: impl FnOnce()) {
    call(|| {
        KERNEL.in_handler.store(true, Ordering::Relaxed);
        handler();
        KERNEL.in_handler.store(false, Ordering::Relaxed);
    });
}

/// What can be slept on.
pub(crate) trait Readable {
    fn is_readable(&self) -> bool;
}

#[derive(Clone, Copy)]
pub(crate) struct BorrowedFd<'a>(pub(crate) &'a dyn Readable);

pub(crate) trait AsFd {
    fn as_fd(&self) -> BorrowedFd<'_>;
}

/// Sleeps until one of `sources` can be read.
pub(crate) fn poll(sources: &[BorrowedFd<'_>]) {
    sleep_until(|| sources.iter().any(|source| source.0.is_readable()));
}

/// Sleeps until one of `sources` can be read, and says which can.
pub(crate) fn try_wait<const N: usize>(
    sources: [Option<BorrowedFd<'_>>; N],
    _: Option<Instant>,
) -> io::Result<[bool; N]> {
    let readable = || sources.map(|source| source.is_some_and(|source| source.0.is_readable()));
    sleep_until(|| readable().contains(&true));
    Ok(call(readable))
}

#[derive(Debug, Default)]
pub(crate) struct EventFd(AtomicU64);

pub(crate) struct EfdFlags;

impl EfdFlags {
    pub(crate) const EFD_CLOEXEC: u8 = 1;
    pub(crate) const EFD_NONBLOCK: u8 = 2;
}

impl EventFd {
    pub(crate) fn from_value_and_flags(_: u32, _: u8) -> io::Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn write(&self, value: u64) -> io::Result<()> {
        call(|| self.0.fetch_add(value, Ordering::Relaxed));
        Ok(())
    }

    pub(crate) fn read(&self) -> io::Result<u64> {
        Ok(call(|| self.0.swap(0, Ordering::Relaxed)))
    }
}

impl Readable for EventFd {
    fn is_readable(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        BorrowedFd(self)
    }
}

/// A pipe, whose records are written and read whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pipe(Arc<std::sync::Mutex<VecDeque<u8>>>);

pub(crate) type PipeReader = Pipe;
pub(crate) type PipeWriter = Pipe;

impl Write for &Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        call(|| self.0.lock().unwrap().extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Readable for Pipe {
    fn is_readable(&self) -> bool {
        !self.0.lock().unwrap().is_empty()
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        BorrowedFd(self)
    }
}

/// A connection, of which only counts whether it is closed.
#[derive(Debug)]
pub(crate) struct TcpStream(());

pub(crate) enum Shutdown {
    Read,
}

impl TcpStream {
    pub(crate) fn accepted() -> Self {
        call(|| KERNEL.sockets.fetch_add(1, Ordering::Relaxed));
        Self(())
    }

    pub(crate) fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn as_raw_fd(&self) -> i32 {
        3
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        call(|| KERNEL.nonblocking.store(nonblocking, Ordering::Relaxed));
        Ok(())
    }

    /// Reads from a client that says nothing: until the socket does not block any more.
    pub(crate) fn read_in_vain(&self) {
        sleep_until(|| KERNEL.nonblocking.load(Ordering::Relaxed));
    }
}

/// For a signal handler: no call on the socket sleeps any more.
pub(crate) fn unblock(_: i32) {
    call(|| KERNEL.nonblocking.store(true, Ordering::Relaxed));
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        call(|| KERNEL.sockets.fetch_sub(1, Ordering::Relaxed));
    }
}

/// How many connections are open.
pub(crate) fn open_sockets() -> usize {
    call(|| KERNEL.sockets.load(Ordering::Relaxed))
}

pub(crate) struct Errno;

impl Errno {
    pub(crate) fn last_raw() -> i32 {
        0
    }

    pub(crate) fn set_raw(_: i32) {}
}

pub(crate) mod signal_hook {
    pub(crate) mod consts {
        pub(crate) const SIGHUP: i32 = 1;
        pub(crate) const SIGINT: i32 = 2;
        pub(crate) const SIGUSR1: i32 = 10;
        pub(crate) const SIGALRM: i32 = 14;
        pub(crate) const SIGTERM: i32 = 15;
        pub(crate) const SIGCHLD: i32 = 17;
    }

    pub(crate) type SigId = i32;

    pub(crate) mod low_level {
        use super::super::{Arc, KERNEL, io};

        pub(crate) fn register(signal: i32, action: impl Fn() + Send + Sync + 'static) -> io::Result<i32> {
            KERNEL.handlers.lock().unwrap().push((signal, Arc::new(action)));
            Ok(signal)
        }

        pub(crate) fn unregister(signal: i32) {
            KERNEL.handlers.lock().unwrap().retain(|(its, _)| *its != signal);
        }

        /// A signal arrives in a thread that does nothing else.
        pub(crate) fn raise(signal: i32) {
            let handlers = KERNEL.handlers.lock().unwrap().clone();
            handlers.iter().filter(|(its, _)| *its == signal).for_each(|(_, action)| action());
        }
    }
}

/// Atomics of a process with one thread: a signal handler comes before a step or after it.
pub(crate) mod one_thread {
    use super::{Ordering, call};

    macro_rules! atomic {
        ($name:ident, $value:ty) => {
            pub(crate) struct $name(std::sync::atomic::$name);

            impl $name {
                pub(crate) fn new(value: $value) -> Self {
                    Self(std::sync::atomic::$name::new(value))
                }

                pub(crate) fn load(&self, _: Ordering) -> $value {
                    call(|| self.0.load(Ordering::Relaxed))
                }

                pub(crate) fn store(&self, value: $value, _: Ordering) {
                    call(|| self.0.store(value, Ordering::Relaxed));
                }
            }
        };
    }

    atomic!(AtomicI32, i32);
    atomic!(AtomicBool, bool);
}

pub(crate) mod manager {
    pub(crate) fn tell_changes() {}

    pub(crate) fn tell_status<T>(_: &T) {}
}

/// Processes, each of which is a thread of the model.
pub(crate) mod process {
    use super::{Instant, KERNEL, Outcome, call};

    pub(crate) type Pid = usize;

    #[allow(clippy::upper_case_acronyms, reason = "as everywhere")]
    pub(crate) enum Signal {
        SIGTERM,
    }

    pub(crate) fn reap_strangers() {}

    /// This process has ended, and its parent has not heard of it.
    pub(crate) fn exit(pid: Pid) {
        call(|| KERNEL.zombies.lock().unwrap().push_back(pid));
    }

    pub(crate) fn reap() -> Option<(Pid, Outcome)> {
        Some((call(|| KERNEL.zombies.lock().unwrap().pop_front())?, Outcome::Failed))
    }

    /// A worker is started where a place is empty.
    #[derive(Debug)]
    pub(crate) struct Places(Vec<Option<Pid>>);

    impl Places {
        pub(crate) fn new(count: usize) -> Self {
            Self(vec![None; count])
        }

        pub(crate) fn next_empty(&self) -> Option<usize> {
            self.0.iter().position(Option::is_none)
        }

        pub(crate) fn started(&mut self, place: usize, pid: Pid) {
            self.0[place] = Some(pid);
        }

        pub(crate) fn ended(&mut self, pid: Pid) -> Option<usize> {
            let place = self.0.iter().position(|its| *its == Some(pid))?;
            self.0[place] = None;
            Some(place)
        }

        pub(crate) fn next_start(&self) -> Option<Instant> {
            None
        }

        pub(crate) fn not_started(&mut self, _: &std::io::Error) {}

        pub(crate) fn any_living(&self) -> bool {
            self.0.iter().any(Option::is_some)
        }

        pub(crate) fn signal(&self, _: Signal) {}

        pub(crate) fn kill(&self) {}
    }
}

pub(crate) mod reports {
    use super::{Pipe, call, io};

    pub(crate) fn pipe() -> io::Result<(Pipe, Pipe)> {
        let pipe = Pipe::default();
        Ok((pipe.clone(), pipe))
    }

    pub(crate) fn read(reader: &mut Pipe, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(call(|| {
            let mut bytes = reader.0.lock().unwrap();
            let count = bytes.len().min(buffer.len());
            buffer.iter_mut().zip(bytes.drain(..count)).for_each(|(place, byte)| *place = byte);
            count
        }))
    }
}

pub(crate) use crate::signals::as_it_is::Bell;
/// How sockets are passed: a message is received whole.
pub(crate) mod post {
    use super::{Arc, BorrowedFd, KERNEL, Ordering, Readable, TcpStream, VecDeque, call, io};

    pub(crate) const MOST_PER_MESSAGE: usize = 253;

    #[derive(Debug, Clone, Default)]
    pub(crate) struct OwnedFd(Arc<std::sync::Mutex<VecDeque<Vec<TcpStream>>>>);

    pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
        let both = OwnedFd::default();
        Ok((both.clone(), both))
    }

    pub(crate) fn pass(outbox: &OwnedFd, streams: &[TcpStream]) -> io::Result<()> {
        call(|| {
            KERNEL.sockets.fetch_add(streams.len(), Ordering::Relaxed);
            outbox.0.lock().unwrap().push_back(streams.iter().map(|_| TcpStream(())).collect());
        });
        Ok(())
    }

    pub(crate) fn receive(inbox: &OwnedFd, streams: &mut Vec<TcpStream>) -> io::Result<Option<usize>> {
        let message = call(|| inbox.0.lock().unwrap().pop_front());
        let count = message.as_ref().map(Vec::len);
        streams.extend(message.into_iter().flatten());
        Ok(count)
    }

    impl Readable for OwnedFd {
        fn is_readable(&self) -> bool {
            !self.0.lock().unwrap().is_empty()
        }
    }

    impl super::AsFd for OwnedFd {
        fn as_fd(&self) -> BorrowedFd<'_> {
            BorrowedFd(self)
        }
    }
}

pub(crate) use post::OwnedFd;

/// The system never lacks anything.
#[derive(Debug, Default)]
pub(crate) struct Pause;

impl Pause {
    pub(crate) fn begin(&mut self, what: &str, error: &io::Error) {
        panic!("{what}: {error}");
    }

    pub(crate) fn until(&self) -> Option<Instant> {
        None
    }
}

pub(crate) use ::serving::{Outcome, Tally};

pub(crate) struct Buffer;

impl Buffer {
    pub(crate) fn new() -> Self {
        Self
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain;

impl Drain {
    pub(crate) fn input<T>(self, _: &T) -> Input {
        Input::Ended
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Input {
    Open,
    Ended,
}

#[derive(Debug, Default)]
pub(crate) struct ServerOptions {
    pub(crate) idle_timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Transform;

impl Transform {
    pub(crate) fn new(_: &ServerOptions) -> Self {
        Self
    }
}

/// A conversation that is over at once.
pub(crate) struct Talk;

impl Talk {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn go_on(&mut self, _: &TcpStream, _: &mut Buffer, _: Transform) -> Option<Outcome> {
        Some(Outcome::Completed)
    }
}

pub(crate) mod silence {
    use super::Duration;

    pub(crate) fn tick(_: Option<Duration>) -> Option<Duration> {
        None
    }
}

/// A task that is only its place in the list.
#[derive(Debug)]
pub(crate) struct Task<P>(pub(crate) P);

impl<P> Task<P> {
    pub(crate) fn new(_: TcpStream, place: P) -> Self {
        Self(place)
    }
}

/// A clock that shows another time at each look.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// All that happens in a lesson, happens now.
pub(crate) fn now_ns() -> u64 {
    0
}

/// Records nothing: a lane belongs to its thread alone.
pub(crate) mod trace {
    use std::borrow::Cow;

    #[derive(Debug)]
    pub(crate) struct Lane;

    #[derive(Debug)]
    pub(crate) enum State {
        Blocked,
    }

    #[derive(Debug)]
    pub(crate) struct Recorder;

    impl Recorder {
        pub(crate) fn thread(_: &str) -> Self {
            Self
        }

        pub(crate) fn enter_with(&mut self, _: State, _: impl Into<Cow<'static, str>>) {}

        pub(crate) fn mark(&mut self, _: &'static str) {}

        pub(crate) fn end(self) -> Lane {
            Lane
        }
    }
}
