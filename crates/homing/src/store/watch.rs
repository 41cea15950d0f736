//! Watching many jobs through one descriptor, for a host with an event loop of its own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use homing_core::JobId;

use crate::homing::Homing;
use crate::store::watcher::Watcher;

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
/// while !homing.is_finished(job.id)? {
///     // … the event loop waits until `watch` is readable …
///     let changed = watch.changed();
///     assert!(changed.iter().all(|id| *id == job.id));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JobWatch {
    watcher: Watcher,
}

impl Homing {
    /// Makes a watch without jobs.
    ///
    /// # Errors
    /// When the kernel has no inotify instance left (`fs.inotify.max_user_instances`, inotify(7)).
    pub fn watch(&self) -> io::Result<JobWatch> {
        Ok(JobWatch { watcher: Watcher::try_new(&self.home)? })
    }
}

impl JobWatch {
    /// Watches a job from now on. Look at it after that: what happened before is not reported.
    ///
    /// # Errors
    /// When the kernel has no watch left (`fs.inotify.max_user_watches`). A job whose files are gone is no error.
    pub fn add(&self, id: JobId) -> io::Result<()> {
        let added = self.watcher.add(id);
        if added.is_err() {
            self.watcher.remove(id);
        }
        added
    }

    /// Watches a job no longer. Call it for each job that is over, or the watch may go on reporting it.
    pub fn remove(&self, id: JobId) {
        self.watcher.remove(id);
    }

    /// The jobs that have to be looked at since the last call: something happened to them, or their supervisors are not
    /// known to be alive. Does not wait.
    pub fn changed(&self) -> Vec<JobId> {
        self.watcher.changed()
    }
}

impl AsFd for JobWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watcher.descriptor().expect("a watch is made only with a descriptor")
    }
}
