//! Errors of the system that callers distinguish, so that no caller compares error numbers.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

fn is_one_of(error: &io::Error, errnos: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| errnos.contains(&errno))
}

/// Whether the operation would have to wait.
pub fn would_block(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Whether a write failed because the reader of a pipe is gone.
pub fn is_reader_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

/// Whether the process has ended.
pub fn is_no_such_process(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::SRCH])
}

/// Whether this user may not do that to a process or a file that another user owns.
pub fn is_not_permitted(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::PERM])
}

/// Whether permissions forbid access to a file.
pub fn is_access_denied(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::ACCESS, Errno::PERM])
}

/// Whether this process or the system ran out of descriptors or memory. A retry may help.
pub fn is_shortage(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::NOMEM]) || is_descriptor_shortage(error)
}

/// Whether this process or the system ran out of descriptors.
pub fn is_descriptor_shortage(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::MFILE, Errno::NFILE])
}

/// Whether a symbolic link is where none may be.
pub fn is_link(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::LOOP])
}

/// Whether the name belongs to a symbolic link or to something other than a directory. A system may report a link as
/// either of the two (open(2), `O_NOFOLLOW` with `O_DIRECTORY`).
pub fn is_link_or_not_directory(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::LOOP, Errno::NOTDIR])
}

/// Creates the error for a process that has ended.
pub fn no_such_process() -> io::Error {
    Errno::SRCH.into()
}

/// Creates the error for a missing file.
pub fn not_found() -> io::Error {
    Errno::NOENT.into()
}

/// Creates the error for a full disk.
pub fn disk_full() -> io::Error {
    Errno::NOSPC.into()
}

/// Creates the error of a process that has no descriptor left.
pub fn too_many_open_files() -> io::Error {
    Errno::MFILE.into()
}

/// Creates the error of a file system that has no locks left.
pub fn no_locks() -> io::Error {
    Errno::NOLCK.into()
}
