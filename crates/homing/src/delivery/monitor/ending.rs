//! Decides whether the active monitor ends.

use std::time::Instant;

use homing_core::JobId;

use super::active::Active;
use super::lock::MonitorLock;
use super::options::{MonitorEnd, MonitorUntil};
use super::unreadable_job::Unreadable;
use crate::Result;
use crate::ledger::Ledger;

impl Active<'_> {
    /// Returns [`MonitorEnd::Stopped`] if a stop was requested and no delivery is in flight or the deadline has
    /// passed.
    pub(super) fn requested_end(&self) -> Option<MonitorEnd> {
        let is_done = self.slots.is_empty() && self.answers.is_empty() && !self.alerts.borrow().is_busy();
        let is_finished = |stop_at| is_done || Instant::now() >= stop_at;
        self.stop_at.is_some_and(is_finished).then_some(MonitorEnd::Stopped)
    }

    /// Returns why the monitor ends; `None` if it goes on.
    pub(super) fn reason_to_end(&mut self) -> Result<Option<MonitorEnd>> {
        if self.stop_at.is_some() {
            return Ok(self.requested_end());
        }
        self.queue_waiting();
        let has_work = !self.ready.is_empty() || !self.slots.is_empty() || !self.answers.is_empty();
        if has_work || self.alerts.borrow().is_busy() || self.pruning.is_some() {
            return Ok(None);
        }
        match self.monitor.options.until {
            MonitorUntil::Stopped => Ok(None),
            MonitorUntil::NothingDue => Ok(Some(MonitorEnd::Done)),
            MonitorUntil::Idle => self.end_if_idle(),
        }
    }

    /// Ends an idle monitor. A launch that finds the lock held relies on this monitor, and has written its inbox
    /// entry before. So the monitor checks again after it released the lock.
    fn end_if_idle(&mut self) -> Result<Option<MonitorEnd>> {
        if self.has_work()? {
            return Ok(None);
        }
        // While it holds the lock: afterwards the next monitor would count it as killed.
        self.record_end();
        self.lock = None;
        if !self.has_work()? {
            return Ok(Some(MonitorEnd::Done));
        }
        self.lock = MonitorLock::try_acquire(&self.context.store.home.root)?;
        Ok(if self.lock.is_some() { None } else { Some(MonitorEnd::LeftToAnother) })
    }

    /// Records in the ledger that this monitor is active, once, and that the previous one was killed, if it was.
    pub(super) fn record_start(&mut self) -> Result<()> {
        if !self.is_recorded {
            self.context.with_ledger(Ledger::monitor_started)?;
            self.is_recorded = true;
        }
        Ok(())
    }

    /// Records in the ledger that this monitor ends. If that fails, the next monitor records it.
    pub(super) fn record_end(&mut self) {
        if std::mem::take(&mut self.is_recorded)
            && let Err(error) = self.context.with_ledger(Ledger::monitor_ended)
        {
            self.warn(&format!("cannot record that the monitor ends: {error}"));
        }
    }

    /// Whether anything is due or may become due. An unreadable job counts as long as a retry may help.
    fn has_work(&self) -> Result<bool> {
        if !self.sessions.is_empty() || self.unreadable.values().any(Unreadable::is_retried) {
            return Ok(true);
        }
        let is_given_up = |id: &JobId| self.unreadable.contains_key(id);
        let has_entries = !self.context.inbox_entries()?.iter().all(is_given_up);
        let unfinished = self.context.with_ledger(|ledger| ledger.unfinished())?;
        Ok(has_entries || !unfinished.iter().all(|(id, _)| is_given_up(id)))
    }
}
