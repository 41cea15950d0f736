//! A copy of this process that is forked before there is work for it. Not on macOS: a forked process cannot show other
//! arguments and another environment to other processes, and those of its parent may contain secrets.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::time::Duration;

use super::pipe::PipeReader;

/// A forked process that waits for a request. It cannot exist.
#[derive(Debug)]
pub struct Preforked(Infallible);

/// A child that was forked. It cannot exist.
#[derive(Debug)]
pub struct ForkedChild(Infallible);

/// Forks this process.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`]. Start a program when there is work for it.
pub fn prefork<R>(
    _patience: Duration,
    _prepare: impl FnOnce() -> R,
    _run: impl FnOnce(R, &[OsString]) -> bool,
) -> io::Result<Preforked> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Preforked {
    /// Lets it run with these arguments and these changes of the environment.
    ///
    /// # Errors
    /// The process, if it has died before.
    pub fn start(
        self,
        _arguments: &[&OsStr],
        _changes: &[(&str, Option<&OsStr>)],
    ) -> Result<(ForkedChild, PipeReader), ForkedChild> {
        match self.0 {}
    }

    /// Lets it exit. Returns the process, which this process has to reap.
    pub fn dismiss(self) -> ForkedChild {
        match self.0 {}
    }
}

impl ForkedChild {
    /// Reaps it if it has ended. Returns whether there is nothing left to reap.
    pub fn is_reaped(&mut self) -> bool {
        match self.0 {}
    }
}
