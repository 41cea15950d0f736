//! Pipes: between a job and its supervisor, and to programs that this process starts. Both ends close when this
//! process executes another program.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl, fstat};
use rustix::io::{Errno, ioctl_fionbio, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// Default capacity of a pipe, in bytes (pipe(7)).
pub const DEFAULT_CAPACITY: usize = 64 << 10;

/// The largest capacity that every user may set by default, in bytes (`fs.pipe-max-size`, pipe(7)).
pub const MAX_CAPACITY: usize = 1 << 20;

/// The end of a pipe that is read.
#[derive(Debug)]
pub struct PipeReader {
    end: OwnedFd,
}

/// The end of a pipe that is written.
#[derive(Debug)]
pub struct PipeWriter {
    end: OwnedFd,
}

/// The content of a pipe, as its reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeContent {
    /// Some bytes can be read.
    Bytes,
    /// It is empty, and may be written again.
    Nothing,
    /// It is empty, and all its writers are closed.
    Ended,
}

/// Creates a pipe. Reads and writes wait.
///
/// # Errors
/// If this process or the system has no descriptor left.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((PipeReader { end: reader }, PipeWriter { end: writer }))
}

/// Creates a pipe whose reads and writes do not wait: they fail with [`io::ErrorKind::WouldBlock`].
///
/// # Errors
/// As [`pipe`].
pub fn nonblocking_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((PipeReader { end: reader }, PipeWriter { end: writer }))
}

/// Creates a pipe for the output of another program, which writes to it as to any pipe. Reads do not wait.
///
/// # Errors
/// As [`pipe`].
pub fn from_program() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe()?;
    reader.set_nonblocking()?;
    Ok((reader, writer))
}

/// Creates a pipe for the input of another program, which reads from it as from any pipe. Writes do not wait.
///
/// # Errors
/// As [`pipe`].
pub fn to_program() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe()?;
    writer.set_nonblocking()?;
    Ok((reader, writer))
}

impl PipeReader {
    /// Makes reads fail with [`io::ErrorKind::WouldBlock`] instead of waiting.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        Ok(ioctl_fionbio(&self.end, true)?)
    }

    /// Reads the available bytes, as many as fit; 0 if all writers are closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is empty and its reads do not wait.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::read(&self.end, &mut *buffer))?)
    }

    /// Fills `buffer`. Returns whether it is full: it is not if all writers are closed before.
    ///
    /// # Errors
    /// As [`PipeReader::read`].
    pub fn fill(&self, buffer: &mut [u8]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Ok(false),
                count => filled += count,
            }
        }
        Ok(true)
    }

    /// Returns whether a read would find bytes, without reading.
    pub fn content(&self) -> PipeContent {
        let mut polled = [PollFd::new(&self.end, PollFlags::IN)];
        match poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) if polled[0].revents().contains(PollFlags::IN) => PipeContent::Bytes,
            Ok(_) if polled[0].revents().contains(PollFlags::HUP) => PipeContent::Ended,
            Ok(_) | Err(_) => PipeContent::Nothing,
        }
    }

    /// Moves at most `limit` bytes to `position` in a file, without waiting, and inside the kernel if the file system
    /// supports it (splice(2)). Returns the number of bytes; 0 if all writers are closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is empty. Any other error of the file, such as a full disk.
    pub fn move_to_file(&self, file: &File, position: u64, limit: usize) -> io::Result<usize> {
        let mut offset = position;
        match retry_on_intr(|| splice(&self.end, None, file, Some(&mut offset), limit, SpliceFlags::NONBLOCK))
        {
            // A file system without splice(2).
            Err(Errno::INVAL | Errno::NOSYS) => self.copy_to_file(file, position, limit),
            moved => Ok(moved?),
        }
    }

    /// Never inlined: the buffer would enlarge the stack of every supervisor by four pages.
    #[cold]
    #[inline(never)]
    fn copy_to_file(&self, file: &File, position: u64, limit: usize) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let limit = limit.min(buffer.len());
        let count = rustix::io::read(&self.end, &mut buffer[..limit])?;
        // The bytes are no longer in the pipe, so a partial write is continued. The supervisor blocks the signal that
        // a limit on the size of files sends (SIGXFSZ).
        file.write_all_at(&buffer[..count], position)?;
        Ok(count)
    }

    /// Reads at most `limit` bytes and discards them, without waiting. `null` is the null device, open for writing.
    /// Returns the number of bytes; 0 if all writers are closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is empty.
    pub fn discard(&self, null: &File, limit: usize) -> io::Result<usize> {
        Ok(splice(&self.end, None, null, None, limit, SpliceFlags::NONBLOCK)?)
    }

    /// Makes the pipe hold up to `bytes`, at most [`MAX_CAPACITY`] for an ordinary user.
    ///
    /// # Errors
    /// If the user has reached the limit for pipes. The pipe keeps its capacity.
    pub fn set_capacity(&self, bytes: usize) -> io::Result<()> {
        fcntl_setpipe_size(&self.end, bytes)?;
        Ok(())
    }

    /// Returns the number that identifies the pipe among the open files of all processes.
    ///
    /// # Errors
    /// If the system does not answer.
    pub fn id(&self) -> io::Result<u64> {
        Ok(fstat(&self.end)?.st_ino)
    }
}

impl PipeWriter {
    /// Makes writes fail with [`io::ErrorKind::WouldBlock`] instead of waiting. The reader is not changed.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        Ok(fcntl_setfl(&self.end, OFlags::NONBLOCK)?)
    }

    /// Writes as many bytes as fit.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is full and its writes do not wait. [`io::ErrorKind::BrokenPipe`] if
    /// all readers are closed.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::write(&self.end, bytes))?)
    }

    /// Writes all of `bytes`, and waits while the pipe is full.
    ///
    /// # Errors
    /// As [`PipeWriter::write`].
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes)?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Returns the number of its descriptor, for a process that is forked.
    pub(super) fn raw(&self) -> RawFd {
        self.end.as_raw_fd()
    }

    /// As [`PipeReader::set_capacity`].
    ///
    /// # Errors
    /// As [`PipeReader::set_capacity`].
    pub fn set_capacity(&self, bytes: usize) -> io::Result<()> {
        fcntl_setpipe_size(&self.end, bytes)?;
        Ok(())
    }
}

/// For descriptors of pipes that this process inherited.
impl From<OwnedFd> for PipeReader {
    fn from(end: OwnedFd) -> PipeReader {
        PipeReader { end }
    }
}

/// As for [`PipeReader`].
impl From<OwnedFd> for PipeWriter {
    fn from(end: OwnedFd) -> PipeWriter {
        PipeWriter { end }
    }
}

impl AsFd for PipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl AsFd for PipeWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl From<PipeReader> for Stdio {
    fn from(reader: PipeReader) -> Stdio {
        reader.end.into()
    }
}

impl From<PipeWriter> for Stdio {
    fn from(writer: PipeWriter) -> Stdio {
        writer.end.into()
    }
}

impl From<std::process::ChildStdout> for PipeReader {
    fn from(output: std::process::ChildStdout) -> PipeReader {
        PipeReader { end: output.into() }
    }
}

impl From<std::process::ChildStderr> for PipeReader {
    fn from(output: std::process::ChildStderr) -> PipeReader {
        PipeReader { end: output.into() }
    }
}
