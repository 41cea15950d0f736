//! A supervisor that this process forks before its job exists: not on Windows, which cannot fork.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::time::Duration;

use super::pipe::PipeReader;

/// A forked process that waits for its request. Never exists on Windows.
#[derive(Debug)]
pub struct Preforked {
    never: Infallible,
}

/// A forked process that has its request. Never exists on Windows.
#[derive(Debug)]
pub struct ForkedChild {
    never: Infallible,
}

/// Would fork this process.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`]: the caller starts a program instead.
pub fn prefork<R>(
    _patience: Duration,
    _prepare: impl FnOnce() -> R,
    _run: impl FnOnce(R, &[OsString]) -> bool,
) -> io::Result<Preforked> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Preforked {
    /// Would send the request.
    ///
    /// # Errors
    /// Never called.
    pub fn start(
        self,
        _arguments: &[&OsStr],
        _changes: &[(&str, Option<&OsStr>)],
    ) -> Result<(ForkedChild, PipeReader), ForkedChild> {
        match self.never {}
    }

    /// Would let the process exit.
    pub fn dismiss(self) -> ForkedChild {
        match self.never {}
    }
}

impl ForkedChild {
    /// Would reap it.
    pub fn is_reaped(&mut self) -> bool {
        match self.never {}
    }
}
