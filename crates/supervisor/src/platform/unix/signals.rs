//! Signals to a program that runs in the foreground.
#![allow(unsafe_code, reason = "sigaction(2) and sigprocmask(2) have no safe wrapper")]

use std::mem;

/// Runs `work` while every signal is blocked in this thread and in threads that `work` starts. A signal that arrives
/// meanwhile is pending and is delivered to this thread afterwards (sigprocmask(2)). Install handlers in this way: a
/// handler that runs before its data is ready would lose the signal.
pub(super) fn while_blocked<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the sets are live locals; the first call initialises `before`, because it can only fail with an invalid
    // `how` argument.
    unsafe {
        let mut all: libc::sigset_t = mem::zeroed();
        let mut before: libc::sigset_t = mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let done = work();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        done
    }
}

/// Whether this process ignores a signal, such as SIGHUP under nohup(1). Programs inherit that.
pub(super) fn is_ignored(signal: i32) -> bool {
    // SAFETY: a null action changes nothing; the kernel writes the current action to a live local.
    unsafe {
        let mut current: libc::sigaction = mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut current) == 0
            && current.sa_sigaction == libc::SIG_IGN
    }
}
