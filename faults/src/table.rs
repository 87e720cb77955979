//! System calls, the errors that their manual pages name, and what each means for a server.

/// What an error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// One connection is broken: its conversation may end, and no other.
    Peer,
    /// The system has run out of something, or forbids the call: wait, and go on.
    Lack,
    /// Nothing is wrong: try again. The kernel says so once, never for ever, and not while there are
    /// bytes to read: a server that is told so then waits for an event that does not come.
    Again,
    /// The call was wrong, which the kernel tells no server that is right: it may end with a line.
    Misuse,
}

/// A system call, and the errors that it is made to fail with.
#[derive(Debug)]
pub struct Call {
    /// Its name, as strace spells it.
    pub name: &'static str,
    /// Whether it is made for one conversation, so that each error can be that one's end.
    pub is_of_a_conversation: bool,
    errors: &'static [(Meaning, &'static [&'static str])],
}

impl Call {
    /// The errors, and what each means.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, Meaning)> {
        self.errors.iter().flat_map(|&(meaning, names)| names.iter().map(move |&name| (name, meaning)))
    }

    /// What this error of the call means.
    pub fn meaning(&self, errno: &str) -> Option<Meaning> {
        self.errors().find(|(name, _)| *name == errno).map(|(_, meaning)| meaning)
    }
}

/// The call of that name.
pub fn call(name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == name)
}

use Meaning::{Again, Lack, Misuse, Peer};

macro_rules! calls {
    ($($name:literal $of:ident: $($meaning:ident [$($errno:ident)+])+;)+) => {
        /// All calls that are made to fail. What io_uring does for a server is no call of its own:
        /// of those there is `io_uring_enter`.
        pub const CALLS: &[Call] = &[$(
            Call {
                name: $name,
                is_of_a_conversation: calls!(@ $of),
                errors: &[$(($meaning, &[$(stringify!($errno)),+])),+],
            }
        ),+];
    };
    (@ conversation) => { true };
    (@ server) => { false };
}

// From section 2 of the manual pages; what is left out is left out for the reason beside it.
calls! {
    "accept4" server:
        Again [EAGAIN EINTR]
        Peer [ECONNABORTED EPROTO ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH EOPNOTSUPP ENETUNREACH ETIMEDOUT]
        Lack [EMFILE ENFILE ENOBUFS ENOMEM EPERM ENOSYS]
        Misuse [EBADF EFAULT EINVAL ENOTSOCK];
    "recvfrom" conversation:
        Again [EAGAIN EINTR]
        Peer [ECONNREFUSED ECONNRESET ENOTCONN ETIMEDOUT EHOSTUNREACH]
        Lack [ENOMEM ENOBUFS]
        Misuse [EBADF EFAULT EINVAL ENOTSOCK];
    "sendto" conversation:
        Again [EAGAIN EINTR]
        Peer [ECONNRESET EPIPE ENOTCONN ETIMEDOUT EHOSTUNREACH ENETUNREACH EACCES]
        Lack [ENOBUFS ENOMEM EPERM]
        Misuse [EBADF EFAULT EINVAL EMSGSIZE ENOTSOCK EOPNOTSUPP EISCONN EALREADY EDESTADDRREQ];
    "sendmsg" conversation:
        Again [EAGAIN EINTR]
        Peer [ECONNRESET EPIPE ENOTCONN]
        Lack [ENOBUFS ENOMEM ETOOMANYREFS EPERM]
        Misuse [EBADF EFAULT EINVAL EMSGSIZE ENOTSOCK EOPNOTSUPP];
    "recvmsg" conversation:
        Again [EAGAIN EINTR]
        Peer [ECONNREFUSED ENOTCONN]
        Lack [ENOMEM EMFILE]
        Misuse [EBADF EFAULT EINVAL ENOTSOCK];
    "epoll_ctl" server:
        Lack [ENOMEM ENOSPC EPERM]
        Misuse [EBADF EEXIST EINVAL ELOOP ENOENT];
    "epoll_wait" server: Again [EINTR] Misuse [EBADF EFAULT EINVAL];
    // EINVAL: fewer descriptors are allowed than are watched.
    "poll" server: Again [EINTR] Lack [ENOMEM EINVAL] Misuse [EFAULT];
    "ppoll" server: Again [EINTR] Lack [ENOMEM] Misuse [EFAULT EINVAL];
    "clone" server: Lack [EAGAIN ENOMEM EPERM ENOSPC EUSERS EACCES EBUSY] Misuse [EINVAL];
    // ENOSYS: the C library then takes clone, which works.
    "clone3" server: Lack [EAGAIN ENOMEM EPERM ENOSPC EUSERS EACCES EBUSY ENOSYS] Misuse [EINVAL];
    "mmap" server: Lack [ENOMEM EAGAIN EPERM ENFILE] Misuse [EACCES EBADF EINVAL ENODEV EOVERFLOW];
    "mprotect" server: Lack [ENOMEM EACCES] Misuse [EINVAL];
    "munmap" server: Lack [ENOMEM] Misuse [EINVAL];
    "socket" server: Lack [EMFILE ENFILE ENOBUFS ENOMEM EACCES EAFNOSUPPORT EPROTONOSUPPORT] Misuse [EINVAL];
    "bind" server: Lack [EACCES EADDRINUSE EADDRNOTAVAIL ENOMEM] Misuse [EBADF EINVAL ENOTSOCK EFAULT];
    "listen" server: Lack [EADDRINUSE] Misuse [EBADF ENOTSOCK EOPNOTSUPP];
    "socketpair" server: Lack [EMFILE ENFILE EAFNOSUPPORT EPROTONOSUPPORT] Misuse [EFAULT EOPNOTSUPP];
    "pipe2" server: Lack [EMFILE ENFILE ENOPKG] Misuse [EFAULT EINVAL];
    "eventfd2" server: Lack [EMFILE ENFILE ENODEV ENOMEM] Misuse [EINVAL];
    "timerfd_create" server: Lack [EMFILE ENFILE ENODEV ENOMEM EPERM] Misuse [EINVAL];
    "timerfd_settime" server: Misuse [EBADF EFAULT EINVAL];
    "epoll_create1" server: Lack [EMFILE ENFILE ENOMEM] Misuse [EINVAL];
    "setsockopt" conversation: Lack [ENOMEM ENOBUFS] Misuse [EBADF EFAULT EINVAL ENOPROTOOPT ENOTSOCK];
    "getsockopt" conversation: Lack [ENOMEM ENOBUFS] Misuse [EBADF EFAULT EINVAL ENOPROTOOPT ENOTSOCK];
    "getsockname" server: Lack [ENOBUFS] Misuse [EBADF EFAULT EINVAL ENOTSOCK];
    "ioctl" server: Misuse [EBADF EFAULT EINVAL ENOTTY];
    // The other errors are of locks, of copies (the storm `descriptors` has those), of files that are
    // only appended to, and of unknown commands; the flags that a stop sets cannot fail.
    "fcntl" conversation: Again [EINTR];
    "shutdown" conversation: Peer [ENOTCONN] Misuse [EBADF EINVAL ENOTSOCK];
    // What is made to fail here is not done: the descriptor stays open, as it never does on Linux.
    // EBADF of close and fcntl: the standard library takes it for a crime and aborts a debug build.
    "close" conversation: Again [EINTR] Lack [EIO ENOSPC EDQUOT];
    // From pipes and eventfds of its own. A write to those fails only where nobody can read any
    // more, so write is not among the calls.
    "read" server: Again [EAGAIN EINTR] Misuse [EIO EBADF EFAULT EINVAL EISDIR];
    "wait4" server: Again [EINTR] Misuse [ECHILD EINVAL];
    "kill" server: Lack [EPERM] Misuse [EINVAL ESRCH];
    "io_uring_setup" server: Lack [EMFILE ENFILE ENOMEM EPERM ENOSYS ENXIO] Misuse [EFAULT EINVAL];
    "io_uring_register" server: Lack [ENOMEM EBUSY EMFILE] Misuse [EACCES EBADF EBADFD EFAULT EINVAL ENXIO EOPNOTSUPP];
    "io_uring_enter" server: Again [EINTR] Lack [EAGAIN EBUSY] Misuse [EBADF EBADFD EBADR EFAULT EINVAL ENXIO EOPNOTSUPP];
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_call_is_there_once_and_every_error_of_it_has_one_meaning() {
        let names: HashSet<_> = CALLS.iter().map(|call| call.name).collect();
        assert_eq!(names.len(), CALLS.len());
        for call in CALLS {
            let errors: HashSet<_> = call.errors().map(|(errno, _)| errno).collect();
            assert_eq!(errors.len(), call.errors().count(), "{}", call.name);
            assert!(!errors.is_empty());
        }
    }

    #[test]
    fn strace_knows_every_call_and_every_error() {
        for call in CALLS {
            for (errno, _) in call.errors() {
                let rule = format!("inject={}:error={errno}:when=1", call.name);
                let ran = std::process::Command::new("strace")
                    .args(["-o", "/dev/null", "-e", &rule, "true"])
                    .output();
                let ran = ran.expect("the tests need strace");
                let said = String::from_utf8_lossy(&ran.stderr);
                assert!(!said.contains("invalid"), "{said}");
            }
        }
    }
}
