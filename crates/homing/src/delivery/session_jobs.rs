//! Follows the running jobs of a session for a caller that delivers their results itself, and holds back the monitor.

use std::time::Duration;

use homing_core::{JobId, SessionId};
use homing_supervisor::platform::wait::WaitSource;

use crate::Result;
use crate::context::Context;
use crate::delivery::hold::DeliveryHold;
use crate::store::watcher::Watcher;

/// The running jobs of one session.
#[derive(Debug)]
pub(super) struct SessionJobs<'c> {
    context: &'c Context,
    session: &'c SessionId,
    watcher: Watcher,
    /// The monitor leaves jobs that finish meanwhile to this caller.
    reserved: DeliveryHold,
    running: Vec<JobId>,
}

impl<'c> SessionJobs<'c> {
    /// Starts to watch for new jobs. Call [`SessionJobs::update`] before the first wait.
    pub(super) fn of(context: &'c Context, session: &'c SessionId) -> SessionJobs<'c> {
        let watcher = Watcher::new(&context.store.home, &[]);
        watcher.add_inbox(&context.store.home);
        SessionJobs {
            context,
            session,
            watcher,
            reserved: context.reserve(&[], session),
            running: Vec::new(),
        }
    }

    /// Updates the ledger and the list of running jobs. A later change ends the next wait.
    pub(super) fn update(&mut self) -> Result<()> {
        // Clear earlier notifications before reading: the read below covers them.
        self.watcher.changed();
        self.context.sync()?;
        self.running = self.read()?;
        let new: Vec<JobId> =
            self.running.iter().filter(|job| !self.reserved.holds(**job)).copied().collect();
        self.reserved.add(self.context.reserve(&new, self.session));
        self.running
            .iter()
            .filter(|job| !self.watcher.watches(**job))
            .for_each(|job| self.watcher.add_if_possible(*job));
        // Find jobs that finished before they were watched.
        self.context.sync().map(drop)
    }

    /// Reads again which jobs run. Stops watching those that have finished. Returns whether none has.
    pub(super) fn refresh(&mut self) -> Result<bool> {
        let running = self.read()?;
        let is_current = running == self.running;
        for finished in self.running.iter().filter(|job| !running.contains(job)) {
            self.watcher.remove(*finished);
        }
        self.running = running;
        Ok(is_current)
    }

    /// The number of running jobs.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Also ends a wait when the ledger changes: a sink answers, or a result is acknowledged. The change may not be committed
    /// yet: see `Ledger::wait_for_writer`.
    pub(super) fn watch_ledger(&self) {
        self.watcher.add_ledger(&self.context.store.home);
    }

    /// Waits until something may have changed, `other` is ready, or the timeout expires.
    pub(super) fn wait(&self, other: Option<WaitSource<'_>>, timeout: Option<Duration>) {
        self.watcher.wait_beside(other, timeout);
    }

    fn read(&self) -> Result<Vec<JobId>> {
        self.context.with_ledger(|ledger| ledger.unfinished_of(self.session))
    }
}
