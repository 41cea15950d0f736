//! Locks on open files and directories. The system releases a lock when its handle is closed, so at the latest when the
//! holder dies.
//!
//! A lock on a file is a lock of one byte, far behind the end of every file (LockFileEx): on Windows, locks refuse reads and
//! writes of others in their range. Two versions of the program may share a home, so kind and range never change.
//!
//! Windows cannot lock directories. A lock on a directory is a named kernel object with the directory's identity in its
//! name: who creates it has the lock, and it is gone when its creator closes it or dies. So the lock follows a directory
//! that is renamed. It is exclusive, and only processes of this machine see it.
//!
//! A lock is not converted: release it with [`unlock`] before the same handle locks in another mode.
#![allow(unsafe_code, reason = "LockFileEx and named events have no safe wrapper")]

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, ERROR_LOCK_VIOLATION, GetLastError};
use windows_sys::Win32::Storage::FileSystem::{
    LOCK_FILE_FLAGS, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, SYNCHRONIZE,
    UnlockFileEx,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};
use windows_sys::Win32::System::Threading::CreateEventExW;

use super::ProcessIdentity;
use super::errors::from_code;
use super::file_identity::FileIdentity;
use super::security::SecurityDescriptor;

/// First and longest pause between two attempts to lock.
const PAUSES: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(20));

/// Upper half of the position of the locked byte: 2^62.
const POSITION_HIGH: u32 = 0x4000_0000;

/// Most locks that one handle can have: it locks once in each mode, or several times in shared mode.
const MAX_LOCKS: usize = 64;

/// The result of an attempt to lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the file may not be locked"]
pub enum Attempt {
    /// The file is locked through this handle.
    Acquired,
    /// Another handle holds a lock that excludes this one.
    HeldByAnother,
}

/// How a file is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No other handle can lock it.
    Exclusive,
    /// Other handles can lock it in shared mode.
    Shared,
}

/// What can be locked: an open file or directory.
pub trait Lockable {
    /// Locks it if no other handle has a lock that excludes this one.
    ///
    /// # Errors
    /// If the file system does not support locks, or this mode cannot be had.
    fn try_lock(&self, mode: Mode) -> io::Result<Attempt>;

    /// Locks it. Waits without a time limit.
    ///
    /// # Errors
    /// As [`Lockable::try_lock`].
    fn wait_and_lock(&self, mode: Mode) -> io::Result<()>;

    /// Releases all locks of this handle.
    fn release(&self);
}

/// Locks a file exclusively if no other handle has locked it.
///
/// # Errors
/// If the file system does not support locks.
pub fn try_exclusive(file: impl Lockable) -> io::Result<Attempt> {
    file.try_lock(Mode::Exclusive)
}

/// Locks a file in shared mode if no other handle has locked it exclusively. Not for directories.
///
/// # Errors
/// As [`try_exclusive`].
pub fn try_shared(file: impl Lockable) -> io::Result<Attempt> {
    file.try_lock(Mode::Shared)
}

/// Locks a file exclusively. Waits without a time limit until other handles have released it.
///
/// # Errors
/// As [`try_exclusive`].
pub fn exclusive(file: impl Lockable) -> io::Result<()> {
    file.wait_and_lock(Mode::Exclusive)
}

/// Locks a file in shared mode. Waits without a time limit while another handle has locked it exclusively. Not for
/// directories.
///
/// # Errors
/// As [`try_exclusive`].
pub fn shared(file: impl Lockable) -> io::Result<()> {
    file.wait_and_lock(Mode::Shared)
}

/// Releases the lock of this handle. Does nothing without one.
pub fn unlock(file: impl Lockable) {
    file.release();
}

/// Locks a file exclusively. Waits at most `limit` until other handles have released it. Tries again after increasing
/// pauses.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if another handle holds a lock for longer. Also as [`try_exclusive`].
pub fn exclusive_within(file: impl Lockable, limit: Duration) -> io::Result<()> {
    let give_up_at = Instant::now().checked_add(limit);
    if lock_until(|| file.try_lock(Mode::Exclusive), give_up_at)? {
        return Ok(());
    }
    let message = format!("another process holds the lock; waited {limit:?}");
    Err(io::Error::new(io::ErrorKind::TimedOut, message))
}

/// Tries until a point in time; without one, for ever. Returns whether it is locked.
pub(super) fn lock_until(
    attempt: impl Fn() -> io::Result<Attempt>,
    give_up_at: Option<Instant>,
) -> io::Result<bool> {
    let mut pause = PAUSES.0;
    loop {
        match attempt()? {
            Attempt::Acquired => return Ok(true),
            Attempt::HeldByAnother if give_up_at.is_some_and(|at| Instant::now() >= at) => return Ok(false),
            Attempt::HeldByAnother => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Returns the process that has locked a file exclusively. Always `None`: Windows does not list locks, and a try would
/// disturb others that lock the file at this moment.
///
/// # Errors
/// Never.
pub fn holder(_path: &Path) -> io::Result<Option<ProcessIdentity>> {
    Ok(None)
}

impl<T: Lockable + ?Sized> Lockable for &T {
    fn try_lock(&self, mode: Mode) -> io::Result<Attempt> {
        (**self).try_lock(mode)
    }

    fn wait_and_lock(&self, mode: Mode) -> io::Result<()> {
        (**self).wait_and_lock(mode)
    }

    fn release(&self) {
        (**self).release();
    }
}

impl Lockable for File {
    fn try_lock(&self, mode: Mode) -> io::Result<Attempt> {
        match lock_file(self, flags(mode) | LOCKFILE_FAIL_IMMEDIATELY) {
            Ok(()) => Ok(Attempt::Acquired),
            Err(ERROR_LOCK_VIOLATION) => Ok(Attempt::HeldByAnother),
            Err(code) => Err(from_code(code)),
        }
    }

    fn wait_and_lock(&self, mode: Mode) -> io::Result<()> {
        lock_file(self, flags(mode)).map_err(from_code)
    }

    fn release(&self) {
        for _ in 0..MAX_LOCKS {
            let mut place = place();
            // SAFETY: the handle is open, and the structure lives during the call: the handle waits.
            if unsafe { UnlockFileEx(self.as_raw_handle(), 0, 1, 0, &raw mut place) } == 0 {
                break;
            }
        }
    }
}

fn flags(mode: Mode) -> LOCK_FILE_FLAGS {
    match mode {
        Mode::Exclusive => LOCKFILE_EXCLUSIVE_LOCK,
        Mode::Shared => 0,
    }
}

fn place() -> OVERLAPPED {
    let position = OVERLAPPED_0_0 { Offset: 0, OffsetHigh: POSITION_HIGH };
    OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: position }, ..OVERLAPPED::default() }
}

fn lock_file(file: &File, flags: LOCK_FILE_FLAGS) -> Result<(), u32> {
    let mut place = place();
    // SAFETY: the handle is open, and the structure lives during the call: the handle waits.
    match unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) } {
        // SAFETY: the call has no requirements.
        0 => Err(unsafe { GetLastError() }),
        _ => Ok(()),
    }
}

/// The lock of an open directory, which its clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct DirectoryLock {
    object: Arc<Mutex<Option<OwnedHandle>>>,
}

impl DirectoryLock {
    /// Locks the directory that has this identity.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] in shared mode. If the system refuses.
    pub(super) fn try_lock(&self, directory: FileIdentity, mode: Mode) -> io::Result<Attempt> {
        if mode == Mode::Shared {
            let message = "Windows cannot lock a directory in shared mode";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let mut object = self.object.lock().unwrap_or_else(PoisonError::into_inner);
        if object.is_some() {
            return Ok(Attempt::Acquired);
        }
        *object = create_object(&directory.object_name("directory"))?;
        Ok(if object.is_some() { Attempt::Acquired } else { Attempt::HeldByAnother })
    }

    /// Releases it. Does nothing if it is not locked.
    pub(super) fn release(&self) {
        *self.object.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Creates a kernel object; `None` if it exists. It is visible in all sessions of the machine (`Global\`), and only this
/// user can open it.
fn create_object(name: &str) -> io::Result<Option<OwnedHandle>> {
    let name: Vec<u16> = format!(r"Global\homing-{name}").encode_utf16().chain([0]).collect();
    let attributes = SecurityDescriptor::private_object()?.attributes();
    // An object of an elevated process allows others to wait for it, but not more.
    // SAFETY: attributes and name live during the call.
    let handle = unsafe { CreateEventExW(&raw const attributes, name.as_ptr(), 0, SYNCHRONIZE) };
    // SAFETY: the call has no requirements.
    let code = unsafe { GetLastError() };
    if handle.is_null() {
        return Err(from_code(code));
    }
    // SAFETY: the call returned a handle that nothing else owns.
    let object = unsafe { OwnedHandle::from_raw_handle(handle) };
    Ok((code != ERROR_ALREADY_EXISTS).then_some(object))
}
