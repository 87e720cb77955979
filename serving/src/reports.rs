//! What worker processes tell their parent, through a pipe.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// A pipe whose reader never waits. A write does, until there is room.
///
/// # Errors
/// If there are no descriptors.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}

/// Reads what is in the pipe, as far as it fits; 0 where nothing is.
///
/// # Errors
/// None that read(2) names for a pipe.
pub fn read(reader: &mut PipeReader, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_empty_pipe_is_nothing_to_wait_for() {
        let (mut reader, mut writer) = pipe().unwrap();
        let mut buffer = [0; 4];
        assert_eq!(read(&mut reader, &mut buffer).unwrap(), 0);
        writer.write_all(b"hello").unwrap();
        assert_eq!(read(&mut reader, &mut buffer).unwrap(), 4);
        assert_eq!(read(&mut reader, &mut buffer).unwrap(), 1);
        assert_eq!(read(&mut reader, &mut buffer).unwrap(), 0);
    }
}
