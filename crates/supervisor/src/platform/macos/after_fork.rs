//! What a child needs between fork(2) and execve(2) and every system calls otherwise. Async-signal-safe.
#![allow(unsafe_code, reason = "variables of the C library")]

/// The environment of this process (environ(7)).
///
/// # Safety
/// Nothing changes the environment while the result is used.
pub(super) unsafe fn environment() -> *const *const libc::c_char {
    // SAFETY: the pointer is valid for the life of the process.
    unsafe { *libc::_NSGetEnviron() }.cast_const().cast()
}

/// The error of the last failed call (intro(2)).
pub(super) fn errno() -> i32 {
    // SAFETY: the pointer is valid for the life of the thread.
    unsafe { *libc::__error() }
}

/// Does nothing: macOS does not end a process with its parent. The gate of the child closes when its parent ends.
pub(super) fn end_with(_parent: u32) {}
