//! The standard input of this process.
#![allow(unsafe_code, reason = "GetFileType, GetNamedPipeInfo, and handles of the standard streams")]

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::windows::io::{AsHandle, AsRawHandle, IntoRawHandle, OwnedHandle};

use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_DISK, FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_HANDLE, STD_INPUT_HANDLE, SetStdHandle};
use windows_sys::Win32::System::Pipes::GetNamedPipeInfo;

use super::win32::{check, owned, raw};

/// What the standard input of this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinKind {
    /// A terminal: a console, or a terminal of Cygwin or Git Bash.
    Terminal,
    /// A regular file or a pipe.
    FileOrPipe,
    /// Something else, such as the null device or a socket.
    Other,
}

/// Returns what the standard input of this process is.
pub fn kind() -> StdinKind {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return StdinKind::Terminal;
    }
    // SAFETY: the handle is open, or null: then the call fails.
    match unsafe { GetFileType(raw(&stdin)) } {
        FILE_TYPE_DISK => StdinKind::FileOrPipe,
        // Sockets count as pipes too.
        FILE_TYPE_PIPE if is_pipe(&stdin) => StdinKind::FileOrPipe,
        _ => StdinKind::Other,
    }
}

fn is_pipe(stream: &impl AsHandle) -> bool {
    let none = std::ptr::null_mut();
    // SAFETY: the handle is open, and null means that a property is not asked for.
    unsafe { GetNamedPipeInfo(raw(stream), none, none, none, none) != 0 }
}

/// Replaces the standard input of this process with `null`, the null device. A job that has inherited the standard input
/// is then the only reader of a pipe there, so the writer notices when the job closes it.
///
/// # Errors
/// If the system refuses.
pub fn replace(null: &File) -> io::Result<()> {
    take_stream(STD_INPUT_HANDLE, null).map(drop)
}

/// Replaces a standard stream of this process with a copy of another file. Returns what it was; `None` if it was
/// closed.
pub(super) fn take_stream(stream: STD_HANDLE, file: &File) -> io::Result<Option<OwnedHandle>> {
    let new = file.as_handle().try_clone_to_owned()?;
    // SAFETY: the call returns a handle of this process, null, or an invalid one.
    let before = unsafe { GetStdHandle(stream) };
    // SAFETY: the new handle is open, and is not closed as long as it is a standard stream.
    check(unsafe { SetStdHandle(stream, new.as_raw_handle()) })?;
    let _ = new.into_raw_handle();
    // SAFETY: the handle belonged to the standard stream only. The standard library asks for it at each use.
    Ok(unsafe { owned(before) }.ok())
}

/// Copies the handle of a standard stream of this process.
///
/// # Errors
/// If it is closed, or this process has no handle left.
pub(super) fn copy_stream(stream: STD_HANDLE) -> io::Result<OwnedHandle> {
    // SAFETY: the call returns a handle of this process, null, or an invalid one.
    let handle = unsafe { owned(GetStdHandle(stream))? };
    let copy = handle.as_handle().try_clone_to_owned();
    // It still belongs to the standard stream.
    let _ = handle.into_raw_handle();
    copy
}
