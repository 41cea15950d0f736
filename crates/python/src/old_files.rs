//! The files of `homing.bg_jobs`: written and read as the library writes and reads its own, so that on every system one
//! process can replace a file while another one reads it. And the lock of the take-over.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use homing_supervisor::platform::dir::Directory;
use homing_supervisor::platform::file;
use homing_supervisor::platform::lock::{self, Attempt};
use pyo3::prelude::*;

/// Writes a file of a folder in one step, readable only by this user.
#[pyfunction]
pub(crate) fn write_private(py: Python<'_>, folder: PathBuf, name: &str, text: &str) -> PyResult<()> {
    Ok(py.detach(|| {
        let folder = Directory::open(&folder)?;
        let new = new_name(name);
        let written = write_new(&folder, &new, text).and_then(|()| folder.rename(&new, &folder, name));
        if written.is_err() {
            // Nothing else can be done about it.
            let _ = folder.remove_file(new.as_ref());
        }
        written
    })?)
}

fn write_new(folder: &Directory, name: &str, text: &str) -> io::Result<()> {
    let mut new = folder.create(name)?;
    new.write_all(text.as_bytes())?;
    file::sync(&new)
}

/// A name that no other process and no other thread uses at the same time.
fn new_name(name: &str) -> String {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let now = homing_supervisor::platform::clock::uptime().as_nanos();
    format!("{name}.{}.{now}-{number}", std::process::id())
}

/// Reads a file of a folder; `None` if it is missing.
#[pyfunction]
pub(crate) fn read_private(py: Python<'_>, folder: PathBuf, name: &str) -> PyResult<Option<Vec<u8>>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Directory::open(&folder)?.open_to_read(name)?.read_to_end(&mut content)?;
        Ok(content)
    };
    match py.detach(read) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A file that is locked until it is released. The system releases it when the process ends.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Lock {
    file: Mutex<Option<File>>,
}

#[pymethods]
impl Lock {
    fn release(&self) {
        if let Some(file) = self.file.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Explicitly: a child that is forked at this moment has the file open for longer.
            lock::unlock(&file);
        }
    }
}

/// Locks a file of a folder, also against other threads. If another one holds the lock, waits for it, which signals do not
/// interrupt, or returns `None`.
#[pyfunction]
pub(crate) fn bg_lock(py: Python<'_>, folder: PathBuf, name: &str, wait: bool) -> PyResult<Option<Lock>> {
    let lock = || {
        // Opened anew for each use, so that threads exclude each other.
        let file = Directory::open(&folder)?.open_or_create(name)?;
        let is_locked = match lock::try_exclusive(&file)? {
            Attempt::Acquired => true,
            Attempt::HeldByAnother if wait => {
                lock::exclusive(&file)?;
                true
            }
            Attempt::HeldByAnother => false,
        };
        Ok::<_, io::Error>(is_locked.then(|| Lock { file: Mutex::new(Some(file)) }))
    };
    Ok(py.detach(lock)?)
}
