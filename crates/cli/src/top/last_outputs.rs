//! When running jobs last wrote output. The system reports writes, so nothing is read in vain.

use std::collections::{HashMap, HashSet};
use std::io;

use homing::core::Timestamp;
use homing::{Homing, JobId};
use homing_supervisor::platform::notify::{ChangeEvent, ChangeKinds, ChangeWatcher, WatchId};
use homing_supervisor::platform::wait::{AsWaitSource, WaitSource};

/// Watches the output of a few running jobs.
#[derive(Debug)]
pub(super) struct LastOutputs {
    homing: Homing,
    changes: ChangeWatcher,
    watched: HashMap<JobId, WatchId>,
    times: HashMap<JobId, Timestamp>,
}

impl LastOutputs {
    /// Watches no job yet.
    ///
    /// # Errors
    /// If the user has no watcher left (`fs.inotify.max_user_instances`).
    pub(super) fn new(homing: &Homing) -> io::Result<LastOutputs> {
        Ok(LastOutputs {
            homing: homing.clone(),
            changes: ChangeWatcher::new()?,
            watched: HashMap::new(),
            times: HashMap::new(),
        })
    }

    /// Watches exactly these jobs. The time of a job that cannot be watched is read at each call.
    pub(super) fn watch(&mut self, jobs: &[JobId]) {
        let wanted: HashSet<JobId> = jobs.iter().copied().collect();
        self.times.retain(|id, _| wanted.contains(id));
        self.watched.retain(|id, watch| {
            let is_wanted = wanted.contains(id);
            if !is_wanted {
                self.changes.unwatch(*watch);
            }
            is_wanted
        });
        for id in wanted {
            if self.watched.contains_key(&id) {
                continue;
            }
            let kinds = ChangeKinds::WRITTEN | ChangeKinds::CREATED;
            if let Ok(Some(watch)) = self.changes.watch(&self.homing.job_path(id), kinds) {
                self.watched.insert(id, watch);
            }
            // After it is watched, so that no later output is missed.
            self.read(id);
        }
    }

    /// Ready when a job has written output.
    pub(super) fn readable(&self) -> WaitSource<'_> {
        self.changes.as_wait_source()
    }

    /// Reads the times of the jobs that have written output.
    pub(super) fn update(&mut self) {
        let mut written = HashSet::new();
        self.changes.for_each_event(|event| match event {
            ChangeEvent::Changed { watch, .. } => {
                written.extend(self.watched.iter().find(|(_, known)| **known == watch).map(|(id, _)| *id));
            }
            ChangeEvent::Overflow => written.extend(self.watched.keys()),
        });
        written.into_iter().for_each(|id| self.read(id));
    }

    /// The times of the jobs that have written output.
    pub(super) fn times(&self) -> Vec<(JobId, Timestamp)> {
        self.times.iter().map(|(id, time)| (*id, *time)).collect()
    }

    fn read(&mut self, id: JobId) {
        // A job that was removed meanwhile is no longer listed soon.
        if let Ok(Some(time)) = self.homing.last_output_at(id) {
            self.times.insert(id, time);
        }
    }
}
