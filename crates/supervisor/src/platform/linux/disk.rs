//! Control over writes to disk: start early, or sync a whole file system.
#![allow(unsafe_code, reason = "sync_file_range(2) has no safe wrapper")]

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// Starts writing the content of a file to disk without waiting. This is a hint; errors are ignored.
pub fn start_writing(file: impl AsFd) {
    // SAFETY: the call takes no pointer, and the descriptor stays open during the borrow.
    unsafe { libc::sync_file_range(file.as_fd().as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Makes the whole file system of an open file or directory durable (syncfs(2)). After the creation of many files,
/// this is one call instead of one for each file.
///
/// # Errors
/// If the sync fails.
pub fn sync_file_system(file: impl AsFd) -> Result<(), Errno> {
    rustix::fs::syncfs(file)
}
