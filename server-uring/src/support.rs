//! Where there is no io_uring: what is missing, and what to do.

use std::{io, thread};

use anyhow::{Result, anyhow};
use io_uring::{Builder, IoUring, cqueue, squeue};

/// Requests that fit into the submission queue; more wait in this process for a moment.
const REQUESTS: u32 = 512;

/// Completions that fit into the completion queue. More are kept by the kernel until there is room,
/// at a price.
const COMPLETIONS: u32 = 4096;

/// What to do in any case.
const OTHERWISE: &str = "or run server-mio, which needs no io_uring";

/// Whether the server could be started here, as far as io_uring is concerned.
///
/// The question is asked in a thread of its own: the kernel takes a ring away some time later, and
/// interrupts whatever call the thread that it belonged to sleeps in.
///
/// # Errors
/// One line that says what is missing and what to do.
pub fn available() -> Result<()> {
    let probe = thread::Builder::new().spawn(|| open().map(drop))?;
    probe.join().unwrap_or_else(|_| Err(anyhow!("io_uring cannot be tried")))
}

/// Opens an io_uring that one thread uses, and whose requests go on only in that thread, when it
/// enters the kernel to wait: so nothing is interrupted, and much is done at once. Linux has that
/// since 6.1, and with it all the rest that is needed here (requests that complete more than once:
/// 6.0; buffers that the kernel chooses: 5.19), so this is the one question to be asked.
///
/// # Errors
/// One line that says what is missing and what to do.
pub(crate) fn open() -> Result<IoUring> {
    let mut builder: Builder<squeue::Entry, cqueue::Entry> = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all().setup_cqsize(COMPLETIONS);
    builder.build(REQUESTS).map_err(|error| anyhow!(explain(&error)))
}

/// The line for an error of io_uring_setup(2) or io_uring_register(2).
pub(crate) fn explain(error: &io::Error) -> String {
    let (missing, remedy) = match error.raw_os_error() {
        Some(libc::ENOSYS) => (
            "this kernel has none, or hides it from this process",
            "use Linux 6.1 or newer and a container that allows io_uring_setup",
        ),
        Some(libc::EPERM | libc::EACCES) => (
            "it is forbidden here",
            "set kernel.io_uring_disabled to 0 and use a container that allows io_uring_setup",
        ),
        Some(libc::EINVAL) => ("this kernel's is too old", "use Linux 6.1 or newer"),
        Some(libc::ENOMEM) => {
            ("there is not enough memory that may be locked", "raise the limit (ulimit -l, LimitMEMLOCK=)")
        }
        _ => return format!("cannot use io_uring: {error}; {}", OTHERWISE.trim_start_matches("or ")),
    };
    format!("cannot use io_uring: {missing}; {remedy}, {OTHERWISE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_one_line_that_says_what_to_do() {
        let expected = [
            (libc::ENOSYS, "has none"),
            (libc::EPERM, "kernel.io_uring_disabled"),
            (libc::EACCES, "forbidden"),
            (libc::EINVAL, "Linux 6.1"),
            (libc::ENOMEM, "ulimit -l"),
            (libc::EMFILE, "Too many open files"),
        ];
        for (errno, words) in expected {
            let line = explain(&io::Error::from_raw_os_error(errno));
            assert!(line.contains(words) && line.contains("server-mio") && !line.contains('\n'), "{line}");
        }
    }
}
