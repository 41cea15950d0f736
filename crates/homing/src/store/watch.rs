//! Watches many jobs through one source, for a host with its own event loop.

use std::io;

use homing_core::JobId;
use homing_supervisor::platform::wait::WaitSource;

use crate::store::job_store::JobStore;
use crate::store::watcher::Watcher;

/// Reports which of many jobs may have changed. [`JobWatch::readable`] becomes readable when jobs may have changed, so an
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
///     // … the event loop waits for `watch.readable()` …
///     let changed = watch.changed();
///     assert!(changed.iter().all(|id| *id == job.id));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JobWatch {
    watcher: Watcher,
}

impl JobStore {
    /// Creates a watch without jobs.
    pub(crate) fn watch(&self) -> io::Result<JobWatch> {
        Ok(JobWatch { watcher: Watcher::try_new(&self.home)? })
    }

    /// Creates a watch that is also readable after a launch and after a change of the ledger.
    pub(crate) fn watch_list(&self) -> io::Result<JobWatch> {
        let watch = self.watch()?;
        watch.watcher.add_list(&self.home)?;
        Ok(watch)
    }
}

impl JobWatch {
    /// Starts to watch a job. Observe the job after this call: earlier changes are not reported.
    ///
    /// # Errors
    /// If the user has no watch left (`fs.inotify.max_user_watches`). A job whose files are missing is not an error.
    pub fn add(&self, id: JobId) -> io::Result<()> {
        let added = self.watcher.add(id);
        if added.is_err() {
            self.watcher.remove(id);
        }
        added
    }

    /// Stops watching a job. Call it for each finished job, or the watch may keep reporting it.
    pub fn remove(&self, id: JobId) {
        self.watcher.remove(id);
    }

    /// Returns the jobs to observe since the last call: they may have changed, or their supervisors may have died. Does
    /// not wait.
    pub fn changed(&self) -> Vec<JobId> {
        self.watcher.changed()
    }

    /// Becomes readable when [`JobWatch::changed`] has jobs to report.
    pub fn readable(&self) -> WaitSource<'_> {
        self.watcher.source().expect("a watch is made only with a source")
    }
}
