//! The supervisor that this process has forked for the job that it launches first.

use std::sync::{Mutex, PoisonError};

use homing_supervisor::{Preforked, prefork};

static PREFORKED: Mutex<Option<Preforked>> = Mutex::new(None);

/// Forks a supervisor for the job that this process launches first. Call it second in `main`, after
/// [`supervise_if_asked`](crate::supervise_if_asked), in a small program that exists to launch one job: it saves the time to
/// start a program, because the supervisor gets ready while this process prepares the job. It exits if it has no job after 10
/// seconds, or when this process has ended.
///
/// Does nothing in a process with several threads, where a fork is not safe: launches then start a supervisor as usual.
/// [`OpenOptions::detached`](crate::OpenOptions::detached) and [`OpenOptions::supervisor`](crate::OpenOptions::supervisor)
/// do not use it.
pub fn prefork_supervisor() {
    // If it fails, the launch fails with the reason or succeeds by itself.
    let forked = prefork().ok();
    *PREFORKED.lock().unwrap_or_else(PoisonError::into_inner) = forked;
}

/// Takes the supervisor that was forked and has no job yet.
pub(crate) fn take() -> Option<Preforked> {
    PREFORKED.lock().unwrap_or_else(PoisonError::into_inner).take()
}
