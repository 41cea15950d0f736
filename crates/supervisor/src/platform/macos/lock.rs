//! Locks on open files. The kernel releases a lock when all copies of its handle are closed, so at the latest when
//! the holder dies.
//!
//! A lock covers the whole file and excludes other handles only, also those of the same process (flock(2)). It does
//! not restrict reads and writes. Two versions of the program may share a home, so kind and range never change.
//!
//! Release locks with [`unlock`]: a child that another thread is starting holds a copy of the handle until it executes
//! its program.
#![allow(unsafe_code, reason = "F_GETLK (fcntl(2)) has no safe wrapper for whole files")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use super::ProcessIdentity;
use super::file::FileIdentity;
use super::file::open_regular;
use super::process::{all_pids, has_open, is_own_user};

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

/// Returns the process that has locked a file exclusively, without trying to lock it: a try would disturb others that
/// lock it at this moment. `None` if the file is missing, if it is not locked, or if its holder is not known.
///
/// macOS does not say which process holds a lock (flock(2)). The holder counts as known if a lock exists and only one process
/// of this user has the file open.
///
/// # Errors
/// If the file cannot be reached.
pub fn holder(path: &Path) -> io::Result<Option<ProcessIdentity>> {
    let identity = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(Some(file)) if is_locked_exclusively(&file)? => FileIdentity::of(&file)?,
        Ok(_) => return Ok(None),
    };
    let mut holders = all_pids().into_iter().filter(|pid| is_own_user(*pid) && has_open(*pid, identity));
    let first = holders.next();
    Ok(if holders.next().is_some() { None } else { first.and_then(ProcessIdentity::of) })
}

/// Whether any handle holds an exclusive lock on an open file. A question about locks of fcntl(2) also finds those of
/// flock(2), but not their process.
///
/// # Errors
/// If the file system does not support locks.
pub(super) fn is_locked_exclusively(file: impl AsFd) -> io::Result<bool> {
    // SAFETY: all zeros are a valid lock: the whole file, from its start. The kernel reads and writes the live local.
    let (result, found) = unsafe {
        let mut wanted: libc::flock = mem::zeroed();
        wanted.l_type = libc::F_RDLCK;
        wanted.l_whence = libc::SEEK_SET as libc::c_short;
        let result = libc::fcntl(file.as_fd().as_raw_fd(), libc::F_GETLK, &raw mut wanted);
        (result, wanted.l_type)
    };
    // A shared lock does not exclude the wanted one, so only an exclusive lock is found.
    if result == 0 { Ok(found == libc::F_WRLCK) } else { Err(io::Error::last_os_error()) }
}

fn attempt(file: impl AsFd, operation: FlockOperation) -> io::Result<Attempt> {
    match retry_on_intr(|| flock(&file, operation)) {
        Ok(()) => Ok(Attempt::Acquired),
        Err(Errno::WOULDBLOCK) => Ok(Attempt::HeldByAnother),
        Err(error) => Err(error.into()),
    }
}
