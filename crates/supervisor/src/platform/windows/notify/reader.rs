//! The thread of a watcher: reads the changes of all its directories from a completion port.
#![allow(unsafe_code, reason = "completion ports")]

use std::collections::HashMap;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use windows_sys::Win32::Foundation::{ERROR_NOTIFY_ENUM_DIR, ERROR_OPERATION_ABORTED, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED, PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::Threading::INFINITE;

use super::super::win32::{check, owned, raw};
use super::changes::Changes;
use super::directory::{Directory, Scope};

/// The key of the packet that ends the thread.
const STOP: usize = 0;

/// How long the end waits for a cancelled read, in milliseconds.
const CANCEL_TIMEOUT: u32 = 1_000;

/// The thread needs little.
const STACK_BYTES: usize = 128 << 10;

/// Reads changes until it is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    port: OwnedHandle,
    changes: Changes,
    directories: Mutex<Directories>,
}

/// The directories whose reads are pending. Only the thread removes them, when a read has ended.
#[derive(Debug, Default)]
struct Directories {
    last: usize,
    by_key: HashMap<usize, Directory>,
}

impl Reader {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Reader> {
        // SAFETY: without a file, the call returns a new port.
        let port =
            unsafe { owned(CreateIoCompletionPort(INVALID_HANDLE_VALUE, std::ptr::null_mut(), 0, 1))? };
        let shared = Arc::new(Shared { port, changes: Changes::new()?, directories: Mutex::default() });
        let thread = Builder::new().name("homing-changes".to_owned()).stack_size(STACK_BYTES).spawn({
            let shared = Arc::clone(&shared);
            move || shared.read()
        })?;
        Ok(Reader { shared, thread: Some(thread) })
    }

    /// The changes that were read.
    pub(super) fn changes(&self) -> &Changes {
        &self.shared.changes
    }

    /// Starts to read the changes of a directory. Returns its key.
    pub(super) fn add(&self, directory: &Path, scope: Scope) -> io::Result<usize> {
        let mut directory = Directory::open(directory, scope)?;
        let mut directories = self.shared.directories();
        directories.last += 1;
        let key = directories.last;
        // A file of a port: its reads are not cancelled when the thread that started them ends.
        // SAFETY: both handles are open.
        let port = unsafe { CreateIoCompletionPort(raw(&directory), raw(&self.shared.port), key, 0) };
        if port.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: no read is pending. The directory is kept until the port has reported the end of the read: the thread
        // needs the lock to handle that report.
        unsafe { directory.start()? };
        directories.by_key.insert(key, directory);
        Ok(key)
    }

    /// Stops to read the changes of a directory.
    pub(super) fn remove(&self, key: usize) {
        if let Some(directory) = self.shared.directories().by_key.get_mut(&key) {
            directory.close();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: the port is open.
        unsafe { PostQueuedCompletionStatus(raw(&self.shared.port), 0, STOP, std::ptr::null()) };
        if let Some(thread) = self.thread.take() {
            // Fails only if it has panicked.
            let _ = thread.join();
        }
    }
}

/// What the port reports.
struct Ended {
    key: usize,
    read: io::Result<usize>,
}

impl Shared {
    fn read(&self) {
        while let Some(ended) = self.next(INFINITE) {
            if ended.key == STOP {
                break;
            }
            self.handle(&ended);
        }
        self.close();
    }

    /// Waits for the end of a read; `None` if there is none in this time.
    fn next(&self, millis: u32) -> Option<Ended> {
        let (mut bytes, mut key) = (0, STOP);
        let mut state: *mut OVERLAPPED = std::ptr::null_mut();
        // SAFETY: the port is open, and all results are written to live locals.
        let result = check(unsafe {
            GetQueuedCompletionStatus(raw(&self.port), &mut bytes, &mut key, &mut state, millis)
        });
        match result {
            Err(_) if state.is_null() => None,
            result => Some(Ended { key, read: result.map(|()| bytes as usize) }),
        }
    }

    fn handle(&self, ended: &Ended) {
        let mut directories = self.directories();
        let Some(directory) = directories.by_key.get_mut(&ended.key) else { return };
        let is_readable = !directory.is_closing
            && match &ended.read {
                Ok(bytes) => {
                    directory.report(*bytes, &self.changes);
                    true
                }
                Err(error) if is(error, ERROR_NOTIFY_ENUM_DIR) => {
                    directory.report(0, &self.changes);
                    true
                }
                // The thread that started it has ended.
                Err(error) => is(error, ERROR_OPERATION_ABORTED),
            };
        // SAFETY: its read has ended. It is kept until the port has reported the end of the next one.
        if is_readable && unsafe { directory.start() }.is_ok() {
            return;
        }
        if !directory.is_closing {
            directory.report_end(&self.changes);
        }
        // Closes it at once: a removed directory exists until its last handle is closed.
        directories.by_key.remove(&ended.key);
    }

    /// Ends all reads.
    fn close(&self) {
        self.directories().by_key.values_mut().for_each(Directory::close);
        while !self.directories().by_key.is_empty() {
            match self.next(CANCEL_TIMEOUT) {
                Some(ended) => self.handle(&ended),
                None => break,
            }
        }
        // The system may still write to what is left.
        std::mem::forget(std::mem::take(&mut self.directories().by_key));
    }

    fn directories(&self) -> MutexGuard<'_, Directories> {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}
