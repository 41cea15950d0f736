//! Errors of the system that callers distinguish, so that no caller compares error numbers.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_COMMITMENT_LIMIT, ERROR_DIRECTORY, ERROR_DISK_FULL, ERROR_FILE_NOT_FOUND,
    ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_NOT_SUPPORTED, ERROR_OUTOFMEMORY, ERROR_PIPE_NOT_CONNECTED, ERROR_PRIVILEGE_NOT_HELD,
    ERROR_SHARING_BUFFER_EXCEEDED, ERROR_SHARING_VIOLATION, ERROR_TOO_MANY_OPEN_FILES,
    ERROR_WORKING_SET_QUOTA,
};

/// Conditions for which Windows has no error number of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    NoSuchProcess,
    Link,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::NoSuchProcess => "the process has ended",
            Condition::Link => "it is a symbolic link or a mount point",
        })
    }
}

impl Error for Condition {}

fn is(error: &io::Error, condition: Condition) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref()) == Some(&condition)
}

fn is_one_of(error: &io::Error, codes: &[u32]) -> bool {
    error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}

pub(super) fn from_code(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// Whether the operation would have to wait.
pub fn would_block(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Whether a write failed because the reader of a pipe is gone. Wine reports pipes of the system below it as not connected.
pub fn is_reader_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe || is_one_of(error, &[ERROR_PIPE_NOT_CONNECTED])
}

/// Whether the process has ended.
pub fn is_no_such_process(error: &io::Error) -> bool {
    is(error, Condition::NoSuchProcess)
}

/// Whether this user may not do that to a process or a file that another user owns.
pub fn is_not_permitted(error: &io::Error) -> bool {
    is_one_of(error, &[ERROR_ACCESS_DENIED, ERROR_PRIVILEGE_NOT_HELD])
}

/// Whether permissions forbid access to a file.
pub fn is_access_denied(error: &io::Error) -> bool {
    is_not_permitted(error)
}

/// Whether this process or the system ran out of handles or memory. A retry may help.
pub fn is_shortage(error: &io::Error) -> bool {
    const MEMORY: [u32; 4] =
        [ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_COMMITMENT_LIMIT, ERROR_WORKING_SET_QUOTA];
    is_one_of(error, &MEMORY) || is_descriptor_shortage(error)
}

/// Whether this process or the system ran out of handles.
pub fn is_descriptor_shortage(error: &io::Error) -> bool {
    is_one_of(error, &[ERROR_TOO_MANY_OPEN_FILES, ERROR_NO_SYSTEM_RESOURCES])
}

/// Whether a link is where none may be: a symbolic link or a mount point, which includes junctions.
pub fn is_link(error: &io::Error) -> bool {
    is(error, Condition::Link)
}

/// Whether the name belongs to a link or to something other than a directory.
pub fn is_link_or_not_directory(error: &io::Error) -> bool {
    is_link(error) || is_one_of(error, &[ERROR_DIRECTORY])
}

/// Whether another process has the file open and does not share it.
pub(super) fn is_in_use(error: &io::Error) -> bool {
    is_one_of(error, &[ERROR_SHARING_VIOLATION])
}

/// Whether the file system does not support the operation.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    is_one_of(error, &[ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED, ERROR_INVALID_PARAMETER])
}

/// Creates the error for a process that has ended.
pub fn no_such_process() -> io::Error {
    io::Error::other(Condition::NoSuchProcess)
}

/// Creates the error for a link where none may be.
pub(super) fn link() -> io::Error {
    io::Error::other(Condition::Link)
}

/// Creates the error for something that is not a directory.
pub(super) fn not_a_directory() -> io::Error {
    from_code(ERROR_DIRECTORY)
}

/// Creates the error for a missing file.
pub fn not_found() -> io::Error {
    from_code(ERROR_FILE_NOT_FOUND)
}

/// Creates the error for a full disk.
pub fn disk_full() -> io::Error {
    from_code(ERROR_DISK_FULL)
}

/// Creates the error of a process that has no handle left.
pub fn too_many_open_files() -> io::Error {
    from_code(ERROR_TOO_MANY_OPEN_FILES)
}

/// Creates the error of a file system that has no locks left.
pub fn no_locks() -> io::Error {
    from_code(ERROR_SHARING_BUFFER_EXCEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_errors_are_recognised() {
        assert!(is_no_such_process(&no_such_process()) && !is_link(&no_such_process()));
        assert!(is_link(&link()) && is_link_or_not_directory(&link()) && !is_no_such_process(&link()));
        assert!(is_link_or_not_directory(&from_code(ERROR_DIRECTORY)));
        assert_eq!(not_found().kind(), ErrorKind::NotFound);
        assert_eq!(disk_full().kind(), ErrorKind::StorageFull);
        assert!(is_shortage(&too_many_open_files()) && is_descriptor_shortage(&too_many_open_files()));
        assert!(
            is_access_denied(&from_code(ERROR_ACCESS_DENIED))
                && is_in_use(&from_code(ERROR_SHARING_VIOLATION))
        );
        assert!(
            is_reader_gone(&from_code(ERROR_PIPE_NOT_CONNECTED))
                && is_reader_gone(&ErrorKind::BrokenPipe.into())
        );
        assert!(!no_locks().to_string().is_empty());
    }
}
