//! How many conversations may be open at once.

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{ServerOptions, UsageError};

/// Descriptors that a server keeps for itself: standard streams, listener, signals, event queue,
/// and some to spare.
const RESERVED_DESCRIPTORS: usize = 32;

/// The limit on open conversations: `--max-connections`, or what the descriptor limit allows.
///
/// `descriptors` is how many one more conversation costs the accepting process. The soft descriptor
/// limit is raised to the hard one first, which every process may do for itself (getrlimit(2)).
///
/// # Errors
/// A [`UsageError`] that names the remedy if the option asks for more than the hard limit allows.
pub fn connection_limit(options: &ServerOptions, descriptors: usize) -> Result<usize> {
    let (hard, allowed) = descriptors_to_spare(0)?;
    match options.max_connections {
        None => Ok(allowed),
        Some(wanted) if wanted.saturating_mul(descriptors) <= allowed => Ok(wanted),
        Some(wanted) => Err(UsageError(format!(
            "--max-connections {wanted} needs {} descriptors, and this process may open {hard}: \
             ask for at most {allowed}, or raise the hard limit (ulimit -Hn, LimitNOFILE=)",
            wanted.saturating_mul(descriptors).saturating_add(RESERVED_DESCRIPTORS)
        ))
        .into()),
    }
}

/// The same for a server whose `processes` share the conversations, one descriptor each, and keep
/// `own` descriptors each for themselves: the limit of the server, and that of one process.
///
/// # Errors
/// Those of [`connection_limit`].
pub fn shared_connection_limit(
    options: &ServerOptions,
    processes: usize,
    own: usize,
) -> Result<(usize, usize)> {
    let (hard, share) = descriptors_to_spare(own)?;
    let allowed = share.saturating_mul(processes);
    match options.max_connections {
        None => Ok((allowed, share)),
        Some(wanted) if wanted <= allowed => Ok((wanted, share)),
        Some(wanted) => Err(UsageError(format!(
            "--max-connections {wanted} needs {wanted} descriptors, and {processes} processes may open {hard} each: \
             ask for at most {allowed}, for more processes, or raise the hard limit (ulimit -Hn, LimitNOFILE=)",
        ))
        .into()),
    }
}

/// The hard limit on descriptors, which the soft one is raised to, and how many of them are left
/// for conversations in a process that keeps `own` more for itself than others do.
fn descriptors_to_spare(own: usize) -> Result<(usize, usize)> {
    let hard = raise_descriptors()?;
    let reserved = RESERVED_DESCRIPTORS + own;
    let allowed = hard.saturating_sub(reserved);
    if allowed == 0 {
        let least = reserved + 1;
        return Err(UsageError(format!(
            "this process may open {hard} descriptors, and the server needs at least {least}: \
             raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        ))
        .into());
    }
    Ok((hard, allowed))
}

/// Raises this process's soft limit on descriptors to the hard one, as every process may
/// (getrlimit(2)), and says what that is.
///
/// # Errors
/// If the system refuses.
pub fn raise_descriptors() -> Result<usize> {
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit on open descriptors")?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
            .context("cannot raise the limit on open descriptors")?;
        log::info!("raised the limit on open descriptors from {soft} to {hard}");
    }
    Ok(usize::try_from(hard).unwrap_or(usize::MAX))
}
