//! Follows the running jobs of a session for a caller that delivers their results itself, and holds back the monitor.

use std::time::Duration;

use homing_core::{JobId, SessionId};
use homing_supervisor::platform::wait::WaitSource;

use crate::Result;
use crate::context::Context;
use crate::delivery::hold::DeliveryHold;
use crate::store::watcher::Watcher;

/// The running jobs of one session. It does not borrow the home, so that an asynchronous wait can keep it.
#[derive(Debug)]
pub(super) struct SessionJobs {
    session: SessionId,
    watcher: Watcher,
    /// The monitor leaves jobs that finish meanwhile to this caller.
    reserved: DeliveryHold,
    running: Vec<JobId>,
}

impl SessionJobs {
    /// Starts to watch for new jobs. Call [`SessionJobs::update`] before the first wait.
    pub(super) fn of(context: &Context, session: &SessionId) -> SessionJobs {
        let watcher = Watcher::new(&context.store.home, &[]);
        watcher.add_inbox(&context.store.home);
        SessionJobs {
            session: session.clone(),
            watcher,
            reserved: context.reserve(&[], session),
            running: Vec::new(),
        }
    }

    /// Updates the ledger and the list of running jobs. A later change ends the next wait.
    pub(super) fn update(&mut self, context: &Context) -> Result<()> {
        // Clear earlier notifications before reading: the read below covers them.
        self.watcher.changed();
        context.sync()?;
        self.running = self.read(context)?;
        let new: Vec<JobId> =
            self.running.iter().filter(|job| !self.reserved.holds(**job)).copied().collect();
        self.reserved.add(context.reserve(&new, &self.session));
        self.running
            .iter()
            .filter(|job| !self.watcher.watches(**job))
            .for_each(|job| self.watcher.add_if_possible(*job));
        // Find jobs that finished before they were watched.
        context.sync().map(drop)
    }

    /// Reads again which jobs run. Stops watching those that have finished. Returns whether none has.
    pub(super) fn refresh(&mut self, context: &Context) -> Result<bool> {
        let running = self.read(context)?;
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
    pub(super) fn watch_ledger(&self, context: &Context) {
        self.watcher.add_ledger(&context.store.home);
    }

    /// Waits until something may have changed, `other` is ready, or the timeout expires.
    pub(super) fn wait(&self, other: Option<WaitSource<'_>>, timeout: Option<Duration>) {
        self.watcher.wait_beside(other, timeout);
    }

    /// Becomes readable when something may have changed. `None` if the system has no free watch.
    #[cfg(feature = "async")]
    pub(super) fn readable(&self) -> Option<WaitSource<'_>> {
        self.watcher.readable()
    }

    fn read(&self, context: &Context) -> Result<Vec<JobId>> {
        context.with_ledger(|ledger| ledger.unfinished_of(&self.session))
    }
}
