//! Locks on open files. The kernel releases a lock when all copies of its handle are closed, so at the latest when
//! the holder dies.
//!
//! A lock covers the whole file and excludes other handles only, also those of the same process (flock(2)). It does
//! not restrict reads and writes. Two versions of the program may share a home, so kind and range never change.
//!
//! Release locks with [`unlock`]: a child that another thread is starting holds a copy of the handle until it executes
//! its program.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

/// First and longest pause between two attempts to lock.
const PAUSES: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(20));

/// The result of an attempt to lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the file may not be locked"]
pub enum Attempt {
    /// The file is locked through this handle.
    Acquired,
    /// Another handle holds a lock that excludes this one.
    HeldByAnother,
}

/// Locks a file exclusively if no other handle has locked it. A lock that this handle holds is converted.
///
/// # Errors
/// If the file system does not support locks.
pub fn try_exclusive(file: impl AsFd) -> io::Result<Attempt> {
    attempt(file, FlockOperation::NonBlockingLockExclusive)
}

/// Locks a file in shared mode if no other handle has locked it exclusively.
///
/// # Errors
/// As [`try_exclusive`].
pub fn try_shared(file: impl AsFd) -> io::Result<Attempt> {
    attempt(file, FlockOperation::NonBlockingLockShared)
}

/// Locks a file exclusively. Waits without a time limit until other handles have released it.
///
/// # Errors
/// As [`try_exclusive`].
pub fn exclusive(file: impl AsFd) -> io::Result<()> {
    Ok(retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?)
}

/// Locks a file in shared mode. Waits without a time limit while another handle has locked it exclusively.
///
/// # Errors
/// As [`try_exclusive`].
pub fn shared(file: impl AsFd) -> io::Result<()> {
    Ok(retry_on_intr(|| flock(&file, FlockOperation::LockShared))?)
}

/// Releases the lock of this handle. Does nothing without one.
pub fn unlock(file: impl AsFd) {
    // Fails only for a descriptor that is not open.
    let _ = flock(file, FlockOperation::Unlock);
}

/// Locks a file exclusively. Waits at most `limit` until other handles have released it. flock(2) itself has no timeout,
/// so this tries again after increasing pauses.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if another handle holds a lock for longer. Also as [`try_exclusive`].
pub fn exclusive_within(file: impl AsFd, limit: Duration) -> io::Result<()> {
    let give_up_at = Instant::now() + limit;
    let mut pause = PAUSES.0;
    loop {
        match try_exclusive(&file)? {
            Attempt::Acquired => return Ok(()),
            Attempt::HeldByAnother if Instant::now() >= give_up_at => {
                let message = format!("another process holds the lock; waited {limit:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Attempt::HeldByAnother => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn attempt(file: impl AsFd, operation: FlockOperation) -> io::Result<Attempt> {
    match retry_on_intr(|| flock(&file, operation)) {
        Ok(()) => Ok(Attempt::Acquired),
        Err(Errno::WOULDBLOCK) => Ok(Attempt::HeldByAnother),
        Err(error) => Err(error.into()),
    }
}
