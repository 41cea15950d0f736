//! Runs a monitor: it acquires the lock, or stands by until the lock is free.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use homing_core::{SessionId, format_duration};
use homing_supervisor::DiskError;

use super::active::Active;
use super::events::MonitorEvent;
use super::handle::Monitor;
use super::lock::MonitorLock;
use super::mailbox::{Message, mailbox};
use super::options::{MonitorEnd, MonitorOptions, MonitorUntil};
use super::settings::Settings;
use crate::Result;
use crate::actor::this_monitor;
use crate::context::Context;

/// The first and the longest pause before a standby monitor asks for the lock again after an error.
const STANDBY_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Context {
    /// Prepares a monitor with the sinks and routes of the configuration and of `options`.
    pub(crate) fn monitor(self: &Arc<Context>, options: MonitorOptions) -> Result<Monitor> {
        self.store.loaded.check_is_trusted()?;
        let settings = Settings::new(self.config(), self.store.home.root.path(), &options)?;
        let (sender, mailbox) = mailbox().map_err(|error| DiskError::new("make", "a notifier", error))?;
        let context = Arc::new(self.attributed_to(this_monitor()));
        Ok(Monitor { context, settings, options, sender, mailbox })
    }

    /// The process id of the active monitor of this home, or 0 if it is unknown. `None` if no monitor is active.
    pub(crate) fn active_monitor(&self) -> Result<Option<u32>> {
        Ok(MonitorLock::holder(&self.store.home.root)?)
    }
}

impl Monitor {
    /// Runs the monitor in this thread.
    ///
    /// # Errors
    /// If the home cannot be used at the start. The monitor reports later errors to the observer and retries.
    pub fn run(self) -> Result<MonitorEnd> {
        let mut freed = HashSet::new();
        let Some(lock) = self.lock(&mut freed)? else {
            let stopped = self.options.until == MonitorUntil::Stopped;
            return Ok(if stopped { MonitorEnd::Stopped } else { MonitorEnd::LeftToAnother });
        };
        Active::new(&self, lock, freed).run()
    }

    /// Acquires the lock; waits for it if this monitor stands by. Returns `None` if it does not become active. Adds
    /// sessions that were reported free meanwhile to `freed`: the previous monitor may have found them busy.
    fn lock(&self, freed: &mut HashSet<SessionId>) -> Result<Option<MonitorLock>> {
        let home = &self.context.store.home.root;
        if let Some(lock) = MonitorLock::try_acquire(home)? {
            return Ok(Some(lock));
        }
        if self.options.until != MonitorUntil::Stopped {
            return Ok(None);
        }
        let pid = MonitorLock::holder(home)?.unwrap_or(0);
        self.options.report(&MonitorEvent::Standby { pid });
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut pause = STANDBY_PAUSE.0;
        // When to ask for the lock again after an error.
        let mut ask_at = Some(Instant::now());
        loop {
            if ask_at.is_some_and(|at| at <= Instant::now()) {
                // Even if no thread can wait for it, the lock is acquired once it is free.
                if let Some(lock) = MonitorLock::try_acquire(home)? {
                    return Ok(Some(lock));
                }
                let sender = self.sender.clone();
                let answer = move |lock| sender.send(Message::Locked(lock));
                ask_at = match MonitorLock::wait(home, Arc::clone(&cancelled), answer) {
                    Ok(()) => None,
                    Err(error) => Some(self.standby_warning(&error, &mut pause)),
                };
            }
            let left = ask_at.map(|at| at.saturating_duration_since(Instant::now()));
            self.wait(None, self.options.heartbeat.into_iter().chain(left).min());
            self.options.report(&MonitorEvent::Alive);
            for message in self.mailbox.take() {
                match message {
                    Message::Locked(Ok(lock)) => return Ok(Some(lock)),
                    Message::Locked(Err(error)) => ask_at = Some(self.standby_warning(&error, &mut pause)),
                    Message::Stop => {
                        cancelled.store(true, Ordering::Relaxed);
                        return Ok(None);
                    }
                    Message::SessionFree(session) => drop(freed.insert(session)),
                    Message::Answered { .. } | Message::AnswerLost { .. } | Message::Alerted { .. } => {}
                }
            }
        }
    }

    /// Reports why waiting for the lock failed. Returns when to try again.
    fn standby_warning(&self, error: &DiskError, pause: &mut Duration) -> Instant {
        let message = format!("{error}; trying again in {}", format_duration(*pause));
        self.options.report(&MonitorEvent::Warning { message });
        let next = Instant::now() + *pause;
        *pause = (*pause * 2).min(STANDBY_PAUSE.1);
        next
    }
}
