//! Writing to disk, ahead of time or all at once.
#![allow(unsafe_code, reason = "sync_file_range(2) has no safe wrapper")]

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// Starts writing a file's content to disk, and does not wait for it. No promise: where the system cannot, nothing
/// happens.
pub fn start_writing(file: impl AsFd) {
    // SAFETY: takes no pointer, and the descriptor is open as long as the borrow lives.
    unsafe { libc::sync_file_range(file.as_fd().as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Makes everything durable that is in the file system of an open file or directory (syncfs(2)): for who has made many
/// files, one call instead of one for each.
///
/// # Errors
/// When the disk refuses.
pub fn sync_file_system(file: impl AsFd) -> Result<(), Errno> {
    rustix::fs::syncfs(file)
}
