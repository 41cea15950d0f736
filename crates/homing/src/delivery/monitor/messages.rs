//! Handles the messages of a monitor, and writes the answers of sinks to the ledger.

use std::time::{Duration, Instant};

use homing_core::{SessionId, WakeEvent, WakeId};
use homing_supervisor::crash_point;

use super::active::Active;
use super::events::MonitorEvent;
use super::mailbox::Message;
use super::options::STOP_TIMEOUT;
use crate::Result;
use crate::ledger::WakeChange;

impl Active<'_> {
    /// Handles the messages of sinks, of waiting threads and of the host.
    pub(super) fn read_messages(&mut self) {
        for message in self.monitor.mailbox.take() {
            match message {
                Message::Answered { wake, session, delivery, acknowledge_within, took } => {
                    crash_point("monitor/answered");
                    self.answered.push(MonitorEvent::Answered {
                        wake,
                        session: session.clone(),
                        delivery: delivery.clone(),
                        took,
                    });
                    let event = WakeEvent::Answered { delivery, acknowledge_within };
                    self.on_answer(wake, session, event);
                }
                Message::AnswerLost { wake, session } => self.on_answer(wake, session, WakeEvent::AnswerLost),
                Message::Alerted { sink, wakes, delivery } => self.on_alert_answer(sink, wakes, delivery),
                Message::SessionFree(session) => drop(self.freed.insert(session)),
                Message::Stop => {
                    let timeout = self.monitor.options.stop_timeout.unwrap_or(STOP_TIMEOUT);
                    let timeout = if self.stop_at.is_some() { Duration::ZERO } else { timeout };
                    self.stop_at = Some(Instant::now() + timeout);
                    self.report(&MonitorEvent::Stopping { in_flight: self.slots.len() });
                }
                // This monitor holds the lock already. Drop the second one.
                Message::Locked(_) => {}
            }
        }
    }

    pub(super) fn on_answer(&mut self, wake: WakeId, session: SessionId, event: WakeEvent) {
        self.slots.end(wake);
        self.answers.push(WakeChange::Moved(wake, event));
        self.queue_session(session);
    }

    /// Writes the answers of sinks to the ledger. Keeps them for the next time if that fails.
    pub(super) fn record_answers(&mut self) -> Result<()> {
        if self.answers.is_empty() {
            return Ok(());
        }
        self.change(&self.answers)?;
        self.answers.clear();
        crash_point("monitor/superseded");
        self.answered.drain(..).for_each(|event| self.monitor.options.report(&event));
        Ok(())
    }
}
