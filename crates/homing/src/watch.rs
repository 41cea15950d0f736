//! Watching many jobs through one descriptor, for a host with an event loop of its own.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use homing_core::JobId;
use homing_supervisor::layout::RECORD;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags};
use rustix::io::Errno;

use crate::Result;
use crate::homing::Homing;
use crate::wait::RECORD_EVENTS;

/// Tells which of many jobs may have changed. Its descriptor is readable when there is something to tell, so that an
/// event loop can wait for it.
///
/// ```
/// # homing::supervise_if_asked();
/// # let folder = tempfile::tempdir()?;
/// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
/// let watch = homing.watch()?;
/// let job = homing.launch(homing::JobSpec::script("true")?)?;
/// watch.add(job.id)?;
/// while !homing.is_over(job.id)? {
///     // … the event loop waits until `watch` is readable …
///     let changed = watch.changed();
///     assert!(changed.iter().all(|id| *id == job.id));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JobWatch {
    inotify: OwnedFd,
    jobs: PathBuf,
    by_descriptor: Mutex<HashMap<i32, JobId>>,
}

impl Homing {
    /// Makes a watch without jobs.
    ///
    /// # Errors
    /// When the kernel has no inotify instance left (`fs.inotify.max_user_instances`, inotify(7)).
    pub fn watch(&self) -> io::Result<JobWatch> {
        Ok(JobWatch {
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            jobs: self.home.jobs.path().to_owned(),
            by_descriptor: Mutex::default(),
        })
    }

    /// Whether a job is over. Looks at the job itself, not at the ledger.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) where there is none of that id.
    pub fn is_over(&self, id: JobId) -> Result<bool> {
        self.is_over_in_boot(id, &self.boot_id()?)
    }
}

impl JobWatch {
    /// Watches a job from now on. Look at it after that: what happened before is not told.
    ///
    /// # Errors
    /// When the kernel has no watch left (`fs.inotify.max_user_watches`). A job whose files are gone is no error.
    pub fn add(&self, id: JobId) -> io::Result<()> {
        // Held meanwhile: an event must find its name.
        let mut by_descriptor = self.by_descriptor();
        match inotify::add_watch(&self.inotify, self.jobs.join(id.as_str()).join(RECORD), RECORD_EVENTS) {
            Ok(descriptor) => {
                by_descriptor.insert(descriptor, id);
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Watches a job no longer.
    pub fn remove(&self, id: JobId) {
        self.by_descriptor().retain(|descriptor, watched| {
            if *watched == id {
                // Fails only where the file is gone, and the watch with it.
                let _ = inotify::remove_watch(&self.inotify, *descriptor);
            }
            *watched != id
        });
    }

    /// The jobs that something happened to since the last call. Does not wait.
    pub fn changed(&self) -> Vec<JobId> {
        let by_descriptor = self.by_descriptor();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut changed = Vec::new();
        while let Ok(event) = events.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changed.extend(by_descriptor.values());
            }
            changed.extend(by_descriptor.get(&event.wd()));
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    fn by_descriptor(&self) -> MutexGuard<'_, HashMap<i32, JobId>> {
        self.by_descriptor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for JobWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
