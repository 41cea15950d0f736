//! The standard input of this process.

use std::fs::File;
use std::io::{self, IsTerminal};

use rustix::fs::{FileType, fstat};
use rustix::stdio;

/// What the standard input of this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinKind {
    /// A terminal. Only processes of its session can read it.
    Terminal,
    /// A regular file or a pipe.
    FileOrPipe,
    /// Something else, such as the null device or a socket.
    Other,
}

/// Returns what the standard input of this process is.
pub fn kind() -> StdinKind {
    if io::stdin().is_terminal() {
        return StdinKind::Terminal;
    }
    match fstat(stdio::stdin()).map(|status| FileType::from_raw_mode(status.st_mode)) {
        Ok(FileType::RegularFile | FileType::Fifo) => StdinKind::FileOrPipe,
        Ok(_) | Err(_) => StdinKind::Other,
    }
}

/// Replaces the standard input of this process with `null`, the null device. A job that has inherited the standard input
/// is then the only reader of a pipe there, so the writer notices when the job closes it.
///
/// # Errors
/// If the system refuses.
pub fn replace(null: &File) -> io::Result<()> {
    Ok(stdio::dup2_stdin(null)?)
}
