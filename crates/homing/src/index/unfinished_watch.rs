//! Watches the jobs that have not finished, and the ledger, for a reader that reads again after each change.

use std::collections::HashSet;
use std::sync::Arc;

use homing_core::JobId;
use homing_supervisor::DiskError;
use homing_supervisor::platform::wait::WaitSource;

use crate::Result;
use crate::context::Context;
use crate::ledger::Ledger;
use crate::store::watch::JobWatch;

/// A watch of the home and of its unfinished jobs. For each reading, call [`UnfinishedWatch::changed`], read, and pass the
/// unfinished jobs to [`UnfinishedWatch::keep`]. Read again if that returns jobs.
#[derive(Debug)]
pub(crate) struct UnfinishedWatch {
    context: Arc<Context>,
    watch: JobWatch,
    watched: HashSet<JobId>,
}

impl UnfinishedWatch {
    /// Starts without jobs.
    pub(crate) fn new(context: Arc<Context>) -> Result<UnfinishedWatch> {
        let watch = context.store.watch_list().map_err(|error| cannot_watch(&context, error))?;
        Ok(UnfinishedWatch { context, watch, watched: HashSet::new() })
    }

    /// The jobs that may have changed since the last call. Clears [`UnfinishedWatch::readable`], so that changes after this
    /// call are reported: call it before reading.
    pub(crate) fn changed(&self) -> Vec<JobId> {
        let changed = self.watch.changed();
        // SQLite writes a commit before it is visible, so its writer may not be done. If this fails, reading finds out why.
        let _ = self.context.with_ledger(Ledger::wait_for_writer);
        changed
    }

    /// Watches these jobs and no others. Returns those that were not watched before: they may have changed before this call.
    ///
    /// # Errors
    /// When the user has no watch left (`fs.inotify.max_user_watches`). The next call tries again.
    pub(crate) fn keep(&mut self, unfinished: HashSet<JobId>) -> Result<Vec<JobId>> {
        self.watched.difference(&unfinished).for_each(|job| self.watch.remove(*job));
        let new: Vec<JobId> = unfinished.difference(&self.watched).copied().collect();
        self.watched = unfinished;
        for (position, job) in new.iter().enumerate() {
            if let Err(error) = self.watch.add(*job) {
                self.watched.retain(|watched| !new[position..].contains(watched));
                return Err(cannot_watch(&self.context, error).into());
            }
        }
        Ok(new)
    }

    /// Becomes readable when a job was launched or has changed, or when the ledger was written.
    pub(crate) fn readable(&self) -> WaitSource<'_> {
        self.watch.readable()
    }
}

fn cannot_watch(context: &Context, error: std::io::Error) -> DiskError {
    DiskError::new("watch", context.store.home.root.path(), error)
}
