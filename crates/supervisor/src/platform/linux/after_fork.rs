//! What a child needs between fork(2) and execve(2) and every system calls otherwise. Async-signal-safe.
#![allow(unsafe_code, reason = "variables and calls of the C library")]

unsafe extern "C" {
    /// The environment of this process (environ(7)).
    static mut environ: *const *const libc::c_char;
}

/// The environment of this process.
///
/// # Safety
/// Nothing changes the environment while the result is used.
pub(super) unsafe fn environment() -> *const *const libc::c_char {
    // SAFETY: the caller guarantees that nothing writes to it.
    unsafe { environ }
}

/// The error of the last failed call (errno(3)).
pub(super) fn errno() -> i32 {
    // SAFETY: the pointer is valid for the life of the thread.
    unsafe { *libc::__errno_location() }
}

/// Makes the kernel kill this process when its parent ends (`PR_SET_PDEATHSIG`, prctl(2)). Exits if `parent` has ended.
pub(super) fn end_with(parent: u32) {
    // SAFETY: these calls have no pointers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid().unsigned_abs() != parent {
            libc::_exit(127);
        }
    }
}
