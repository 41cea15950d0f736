//! Detaches this process from the process that started it. On Windows the launcher has done most of it: a supervisor is
//! started with three handles and a console of its own (`spawn::start`).
#![allow(unsafe_code, reason = "the signatures are the same on all systems")]

use std::env;
use std::ffi::OsString;
use std::io;

use windows_sys::Win32::System::Console::{STD_ERROR_HANDLE, STD_OUTPUT_HANDLE};

use super::file::open_null;
use super::pipe::{PipeReader, PipeWriter};
use super::stdin::{copy_stream, take_stream};

/// Does nothing: processes of Windows have no parent that must wait for them.
///
/// # Safety
/// None is needed on Windows.
pub unsafe fn continue_in_child() {}

/// Leaves the working directory of the launcher, which nobody could remove otherwise.
///
/// # Safety
/// None is needed on Windows.
pub unsafe fn leave_launcher() {
    // The root of the system's drive, which is never removed.
    let mut root = env::var_os("SystemDrive").unwrap_or_else(|| OsString::from("C:"));
    root.push(r"\");
    // If it fails, the directory cannot be removed as long as this process runs.
    let _ = env::set_current_dir(root);
}

/// Writes `answer` to standard output, and replaces standard output with the null device. The launcher reads the end of
/// its pipe after the answer.
///
/// # Errors
/// If the null device cannot be opened.
pub fn answer_on_stdout(answer: &[u8]) -> io::Result<()> {
    if let Some(stdout) = take_stream(STD_OUTPUT_HANDLE, &open_null()?)? {
        // Fails if the launcher does not wait for it.
        let _ = PipeWriter::from(stdout).write_all(answer);
    }
    Ok(())
}

/// Takes the pipe that the launcher passed as standard error, to be read without waiting. The null device replaces it.
///
/// # Errors
/// If this process has no handle left, standard error is closed, or the null device cannot be opened.
pub fn take_stderr_pipe() -> io::Result<PipeReader> {
    let stderr = take_stream(STD_ERROR_HANDLE, &open_null()?)?.ok_or(io::ErrorKind::NotFound)?;
    let pipe = PipeReader::from(stderr);
    pipe.set_nonblocking()?;
    Ok(pipe)
}

/// Copies the pipe that the launcher passed as standard output, to be written without waiting.
///
/// # Errors
/// If this process has no handle left, or standard output is closed.
pub fn copy_stdout_pipe() -> io::Result<PipeWriter> {
    let pipe = PipeWriter::from(copy_stream(STD_OUTPUT_HANDLE)?);
    pipe.set_nonblocking()?;
    Ok(pipe)
}
