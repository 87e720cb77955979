//! Files that results go to, and standard output.
//!
//! A result is written beside the file that it is for, and renamed over it when it is whole:
//! whoever fails, is refused or is interrupted before leaves what was there. That a file can be
//! written is found out before the work begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::fs::OFlags;
use serde::Serialize;
use serving::UsageError;
use tempfile::NamedTempFile;

/// What a file name means standard output.
const STDOUT: &str = "-";

/// What a new file may be, less what the process's umask takes away.
const NEW: u32 = 0o666;

/// Where one kind of result goes.
#[derive(Debug)]
pub struct Output {
    /// The option and the path, for errors.
    name: String,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout,
    /// A file that is made new, with these permissions if it has some already.
    Renamed(PathBuf, Option<fs::Permissions>),
    /// A pipe, a device, a link to nothing yet, a file with a second name, or one in a folder that
    /// takes no other: written as it is, once the result is whole.
    Direct(PathBuf),
}

impl Output {
    /// Where the results of these options go, for those that are given; `-` is standard output.
    ///
    /// # Errors
    /// One line that names the option and the file: if it could not be written, or two options name
    /// the same one.
    pub fn open_all<const N: usize>(wishes: [(&str, Option<&Path>); N]) -> Result<[Option<Self>; N]> {
        let mut known: Vec<(PathBuf, &str)> = Vec::new();
        for (option, path) in wishes.iter().filter_map(|(option, path)| Some((*option, (*path)?))) {
            let path = identity(path);
            if let Some((_, other)) = known.iter().find(|(known, _)| *known == path) {
                let both = format!("{other} and {option} name the same file: give each its own");
                return Err(UsageError(both).into());
            }
            known.push((path, option));
        }
        let mut outputs = [const { None }; N];
        for (output, (option, path)) in outputs.iter_mut().zip(wishes) {
            *output = path.map(|path| Self::open(option, path)).transpose()?;
        }
        Ok(outputs)
    }

    /// Where the result of one option goes.
    ///
    /// # Errors
    /// As [`open_all`](Self::open_all).
    pub fn open(option: &str, path: &Path) -> Result<Self> {
        let name = format!("{option} {}", path.display());
        let target = if is_stdout(path) {
            Target::Stdout
        } else {
            Target::of(path).with_context(|| format!("cannot write {name}"))?
        };
        Ok(Self { name, target })
    }

    /// Standard output, for what no option names.
    pub fn stdout() -> Self {
        Self { name: "standard output".to_owned(), target: Target::Stdout }
    }

    /// Whether it is standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self.target, Target::Stdout)
    }

    /// Writes it piece by piece, from now on, instead of what was there.
    ///
    /// # Errors
    /// One line that names the file, if it cannot be made.
    pub fn stream(self) -> Result<Box<dyn Write>> {
        Ok(match self.target {
            Target::Stdout => Box::new(io::stdout()),
            Target::Direct(path) | Target::Renamed(path, _) => {
                Box::new(File::create(path).with_context(|| format!("cannot write {}", self.name))?)
            }
        })
    }

    /// Writes it all, instead of what was there.
    ///
    /// # Errors
    /// One line that names the file; not if somebody has closed the pipe that standard output is.
    pub fn write<E: Into<anyhow::Error>>(
        self,
        content: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<()> {
        let written = match self.target {
            Target::Stdout => fill(&mut io::stdout().lock(), content),
            Target::Direct(path) => direct(&path, content),
            Target::Renamed(path, permissions) => renamed(&path, permissions, content),
        };
        match written {
            Err(error) if is_closed_pipe(&error) => Ok(()),
            written => written.with_context(|| format!("cannot write {}", self.name)),
        }
    }
}

/// Shows the text of a result: on standard output, or beside it where that `is_taken` by a result.
///
/// # Errors
/// As [`Output::write`]; a closed standard error takes nothing from the result.
pub fn show<E: Into<anyhow::Error>>(
    is_taken: bool,
    content: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<()> {
    if !is_taken {
        return Output::stdout().write(content);
    }
    let mut text = Vec::new();
    content(&mut text).map_err(Into::into)?;
    let _ = io::stderr().lock().write_all(&text);
    Ok(())
}

/// A text from elsewhere, without anything that a terminal would obey.
pub fn harmless(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Says something to a program that reads lines of JSON. One write, so that a line shorter than
/// PIPE_BUF (pipe(7)) arrives whole or not at all.
///
/// # Errors
/// If nobody reads.
pub fn say_json(out: &mut impl Write, said: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    Ok(out.write_all(&line).and_then(|()| out.flush())?)
}

impl Target {
    /// Finds out whether the file can be written, and how, without touching it.
    fn of(path: &Path) -> io::Result<Self> {
        let direct = Ok(Self::Direct(path.to_owned()));
        let (path, permissions) = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(metadata) if metadata.is_file() => {
                OpenOptions::new().append(true).open(path)?;
                // Under another name too: renamed over one, the other would keep the old text.
                if metadata.nlink() > 1 {
                    return direct;
                }
                (path.canonicalize()?, Some(metadata.permissions()))
            }
            Ok(_) => return direct,
            Err(_) if path.is_symlink() => return direct,
            Err(_) => (path.to_owned(), None),
        };
        // Gone at once, whatever happens to this process.
        match tempfile::tempfile_in(folder(&path)) {
            Ok(_) => Ok(Self::Renamed(path, permissions)),
            Err(_) if permissions.is_some() => Ok(Self::Direct(path)),
            Err(error) => Err(error),
        }
    }
}

fn is_stdout(path: &Path) -> bool {
    [STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// The same for two spellings of one file.
fn identity(path: &Path) -> PathBuf {
    if is_stdout(path) {
        return STDOUT.into();
    }
    let whole = path.canonicalize();
    let in_folder = || Some(folder(path).canonicalize().ok()?.join(path.file_name()?));
    whole.ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
}

fn fill<E: Into<anyhow::Error>>(
    target: &mut dyn Write,
    content: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<()> {
    let mut out = BufWriter::new(target);
    content(&mut out).map_err(Into::into)?;
    Ok(out.flush()?)
}

fn direct<E: Into<anyhow::Error>>(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<()> {
    let mut whole = Vec::new();
    content(&mut whole).map_err(Into::into)?;
    Ok(fs::write(path, whole)?)
}

fn renamed<E: Into<anyhow::Error>>(
    path: &Path,
    permissions: Option<fs::Permissions>,
    content: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<()> {
    let mut builder = tempfile::Builder::new();
    let mut file: NamedTempFile = builder
        .prefix(".")
        .suffix(".new")
        .permissions(fs::Permissions::from_mode(NEW))
        .tempfile_in(folder(path))?;
    fill(file.as_file_mut(), content)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    if let Err(refused) = file.persist(path) {
        // Such as a file that is mounted, which cannot be replaced: better written in place than
        // lost.
        fs::copy(refused.file.path(), path)?;
    }
    Ok(())
}

/// Whether standard output was closed, or open for reading only, when this process began.
/// Afterwards nobody can tell: the runtime opens `/dev/null` in its place.
static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: what runs before `main` must need nothing of the runtime: this is one system call and a
// store.
#[ctor::ctor(unsafe)]
fn look_at_stdout() {
    let flags = rustix::fs::fcntl_getfl(rustix::stdio::stdout());
    let closed = flags.map_or(true, |flags| flags & OFlags::ACCMODE == OFlags::RDONLY);
    STDOUT_WAS_CLOSED.store(closed, Ordering::Relaxed);
}

/// Makes sure that there is somewhere to print to, before any work is done for it.
///
/// # Errors
/// If the program was started with standard output closed (`>&-`).
pub fn require_stdout() -> Result<()> {
    ensure!(
        !STDOUT_WAS_CLOSED.load(Ordering::Relaxed),
        "standard output is closed: nothing could be printed"
    );
    Ok(())
}

/// Whether whoever should have read has gone, which is their right.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, text: &str) -> Result<()> {
        Output::open("--json", path)?.write(|out| out.write_all(text.as_bytes()))
    }

    #[test]
    fn what_was_there_stays_until_there_is_something_better() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let output = Output::open("--json", &path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing lies beside it meanwhile");
        drop(output);
        let fails = Output::open("--json", &path).unwrap().write(|out| {
            out.write_all(b"half")?;
            Err::<(), _>(io::Error::other("no more"))
        });
        assert!(fails.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_wrong_path_is_told_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for wrong in [folder.path().to_owned(), folder.path().join("missing/result")] {
            let error = Output::open("--json", &wrong).unwrap_err();
            assert!(format!("{error:#}").starts_with("cannot write --json "), "{error:#}");
        }
    }

    #[test]
    fn a_link_is_followed_and_a_device_is_written_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        symlink(&target, &link).unwrap();
        write(&link, "first").unwrap();
        write(&link, "second").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "second");
        assert!(link.is_symlink());
        write(Path::new("/dev/null"), "gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn two_options_may_not_name_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("x"), folder.path().join("./x"));
        for (one, other) in [
            (one.as_path(), other.as_path()),
            (Path::new("-"), Path::new("-")),
            (Path::new("-"), Path::new("/dev/stdout")),
        ] {
            let error = Output::open_all([("--json", Some(one)), ("--hdr", Some(other))]).unwrap_err();
            assert!(format!("{error:#}").contains("--json and --hdr name the same file"), "{error:#}");
        }
        assert!(Output::open_all([("--json", Some(one.as_path())), ("--hdr", None)]).is_ok());
    }
}
