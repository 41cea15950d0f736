//! Pipes: between a job and its supervisor, and to programs that this process starts. Both ends close when this
//! process executes another program.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl, fstat};
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio, ioctl_fionread, retry_on_intr};

/// Capacity of a pipe that is written faster than it is read, in bytes (`BIG_PIPE_SIZE` of the kernel's `sys/pipe.h`). A
/// pipe begins with 16 KiB, and may not grow if the system has many pipes.
pub const DEFAULT_CAPACITY: usize = 64 << 10;

/// The largest capacity, in bytes. It cannot be set.
pub const MAX_CAPACITY: usize = DEFAULT_CAPACITY;

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
/// A program that another thread starts at this moment may inherit both ends: macOS cannot create a pipe with
/// close-on-exec in one step.
///
/// # Errors
/// If this process or the system has no descriptor left.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    fcntl_setfd(&reader, FdFlags::CLOEXEC)?;
    fcntl_setfd(&writer, FdFlags::CLOEXEC)?;
    Ok((PipeReader { end: reader }, PipeWriter { end: writer }))
}

/// Creates a pipe whose reads and writes do not wait: they fail with [`io::ErrorKind::WouldBlock`].
///
/// # Errors
/// As [`pipe`].
pub fn nonblocking_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe()?;
    reader.set_nonblocking()?;
    writer.set_nonblocking()?;
    Ok((reader, writer))
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
            // At the end of the pipe, poll(2) reports both (poll_callback in the kernel's `sys_generic.c`).
            Ok(_) if polled[0].revents().contains(PollFlags::HUP) && self.is_drained() => PipeContent::Ended,
            Ok(_) if polled[0].revents().contains(PollFlags::IN) => PipeContent::Bytes,
            Ok(_) | Err(_) => PipeContent::Nothing,
        }
    }

    /// Whether no byte is left to read (`FIONREAD`).
    fn is_drained(&self) -> bool {
        ioctl_fionread(&self.end).is_ok_and(|left| left == 0)
    }

    /// Moves at most `limit` bytes to `position` in a file, without waiting. Returns the number of bytes; 0 if all writers
    /// are closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is empty. Any other error of the file, such as a full disk.
    pub fn move_to_file(&self, file: &File, position: u64, limit: usize) -> io::Result<usize> {
        self.fail_if_empty()?;
        self.copy_to_file(file, position, limit)
    }

    /// Fails with [`io::ErrorKind::WouldBlock`] if the pipe is empty and has writers, also if its reads wait.
    fn fail_if_empty(&self) -> io::Result<()> {
        match self.content() {
            PipeContent::Nothing => Err(io::ErrorKind::WouldBlock.into()),
            PipeContent::Bytes | PipeContent::Ended => Ok(()),
        }
    }

    /// Never inlined: the buffer would enlarge the stack of every supervisor by sixteen pages.
    #[inline(never)]
    fn copy_to_file(&self, file: &File, position: u64, limit: usize) -> io::Result<usize> {
        let mut buffer = [0; DEFAULT_CAPACITY];
        let limit = limit.min(buffer.len());
        let count = self.read(&mut buffer[..limit])?;
        // The bytes are no longer in the pipe, so a partial write is continued. The supervisor blocks the signal that
        // a limit on the size of files sends (SIGXFSZ).
        file.write_all_at(&buffer[..count], position)?;
        Ok(count)
    }

    /// Reads at most `limit` bytes and discards them, without waiting. Returns the number of bytes; 0 if all writers are
    /// closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is empty.
    #[inline(never)]
    pub fn discard(&self, _null: &File, limit: usize) -> io::Result<usize> {
        self.fail_if_empty()?;
        let mut buffer = [0; DEFAULT_CAPACITY];
        let limit = limit.min(buffer.len());
        self.read(&mut buffer[..limit])
    }

    /// Makes the pipe hold up to `bytes`, at most [`MAX_CAPACITY`].
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if it is to hold more than it does by itself. The pipe keeps its capacity.
    pub fn set_capacity(&self, bytes: usize) -> io::Result<()> {
        check_capacity(bytes)
    }

    /// Returns the number that identifies the pipe among the open files of all processes; 0 where the kernel does not show
    /// one (pipe_stat in its `sys_pipe.c`).
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

    pub(super) fn raw(&self) -> RawFd {
        self.end.as_raw_fd()
    }

    /// As [`PipeReader::set_capacity`].
    ///
    /// # Errors
    /// As [`PipeReader::set_capacity`].
    pub fn set_capacity(&self, bytes: usize) -> io::Result<()> {
        check_capacity(bytes)
    }
}

fn check_capacity(bytes: usize) -> io::Result<()> {
    if bytes <= MAX_CAPACITY { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
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
