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
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use super::ProcessIdentity;
use super::file::FileIdentity;
use super::procfs::{holds_lock, read_at_once};

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
/// lock it at this moment. `None` if the file is missing, if it is not locked, or if its holder is not visible, because it
/// belongs to another user or another pid namespace.
///
/// # Errors
/// If the system does not list its locks (`/proc/locks`, proc_locks(5)), or the file cannot be reached.
pub fn holder(path: &Path) -> io::Result<Option<ProcessIdentity>> {
    let file = match FileIdentity::of_path(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        identity => identity?,
    };
    let locks = String::from_utf8_lossy(&read_at_once("/proc/locks", 16 << 10)?).into_owned();
    // Several file systems list another device there than stat(2) reports. So compare the inode only, and confirm with
    // the open files of the process.
    let mut holders = locks.lines().filter_map(|line| exclusive_lock(line, file.inode));
    Ok(holders.find(|pid| holds_lock(*pid, file)).and_then(ProcessIdentity::of))
}

/// The process of a line such as `3: FLOCK  ADVISORY  WRITE 18737 fe:00:10297495 0 EOF`, if it is about this inode. Lines
/// of processes that wait for a lock have `->` in the second place.
fn exclusive_lock(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let is_exclusive = words.next() == Some("FLOCK") && words.nth(1) == Some("WRITE");
    let (pid, file) = (words.next()?.parse().ok()?, words.next()?);
    let locked: u64 = file.rsplit(':').next()?.parse().ok()?;
    (is_exclusive && locked == inode).then_some(pid)
}

fn attempt(file: impl AsFd, operation: FlockOperation) -> io::Result<Attempt> {
    match retry_on_intr(|| flock(&file, operation)) {
        Ok(()) => Ok(Attempt::Acquired),
        Err(Errno::WOULDBLOCK) => Ok(Attempt::HeldByAnother),
        Err(error) => Err(error.into()),
    }
}
