//! A socket in the file system that only processes of this user can connect to. Not supported on Windows yet: servers
//! listen on the loopback address there.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::path::Path;
use std::task::{Context, Poll};

/// Whether this system has such sockets.
pub const IS_SUPPORTED: bool = false;

/// Does nothing: there are no such sockets.
pub fn remove_abandoned(_directory: &Path, _prefix: &str) {}

/// A connection, of which none exists.
#[derive(Debug)]
pub struct LocalStream(Infallible);

/// A socket that accepts connections, of which none exists.
#[derive(Debug)]
pub struct LocalListener(Infallible);

impl LocalListener {
    /// Always fails.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`].
    pub fn bind(_path: &Path) -> io::Result<LocalListener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub async fn accept(&self) -> io::Result<LocalStream> {
        match self.0 {}
    }
}

impl LocalStream {
    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn peek(&self) -> io::Result<usize> {
        match self.0 {}
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn try_write_vectored(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.0 {}
    }

    /// Is never called.
    ///
    /// # Errors
    /// None.
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self.0 {}
    }
}
