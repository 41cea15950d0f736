//! A program that a service manager starts and that keeps a log of its own.

use std::fs::File;
use std::io;

/// Makes this process write its standard output and standard error to a file, and leave its console if it has a window of
/// its own.
///
/// # Errors
/// If this process has no descriptor left.
pub fn log_to(file: &File) -> io::Result<()> {
    rustix::stdio::dup2_stdout(file)?;
    Ok(rustix::stdio::dup2_stderr(file)?)
}
