//! Pipes: between a job and its supervisor, and to programs that this process starts. No program inherits an end by
//! itself.
//!
//! Ends of homing are overlapped: they can be read, written and waited for without blocking a thread. Ends for other
//! programs are synchronous, because their libraries expect that (`named_pipe`).

mod reader;
mod writer;

use std::io;

use super::named_pipe::{self, Mode};

pub use reader::PipeReader;
pub use writer::PipeWriter;

/// Default capacity of a pipe, in bytes. As on Linux, and as the standard library chooses for pipes of Windows.
pub const DEFAULT_CAPACITY: usize = 64 << 10;

/// The most bytes that [`PipeWriter::set_capacity`] should ask for.
pub const MAX_CAPACITY: usize = 1 << 20;

/// The capacity of all pipes, as the system counts it.
const CAPACITY: u32 = 64 << 10;

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

/// Creates a pipe for homing processes. Reads and writes wait.
///
/// # Errors
/// If the system has no memory left.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    create(Mode::Overlapped, Mode::Overlapped)
}

/// Creates a pipe for homing processes whose reads and writes do not wait: they fail with
/// [`io::ErrorKind::WouldBlock`].
///
/// # Errors
/// As [`pipe`].
pub fn nonblocking_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe()?;
    reader.set_nonblocking()?;
    writer.set_nonblocking()?;
    Ok((reader, writer))
}

/// Creates a pipe for the output of another program. Only reads do not wait.
///
/// # Errors
/// As [`pipe`].
pub fn from_program() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = create(Mode::Overlapped, Mode::Synchronous)?;
    reader.set_nonblocking()?;
    Ok((reader, writer))
}

/// Creates a pipe for the standard input of another program. Reads and writes wait.
///
/// # Errors
/// As [`pipe`].
pub fn to_program() -> io::Result<(PipeReader, PipeWriter)> {
    create(Mode::Synchronous, Mode::Overlapped)
}

fn create(reader: Mode, writer: Mode) -> io::Result<(PipeReader, PipeWriter)> {
    let (read_end, write_end) = named_pipe::create(reader, writer, CAPACITY)?;
    Ok((PipeReader::new(read_end, reader), PipeWriter::new(write_end, writer)))
}

/// Whether an operation failed because the other end is closed.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected)
}
