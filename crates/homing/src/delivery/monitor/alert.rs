//! Tells a person through the sink `monitor.alert` when wakes are dead: once for each, and never again if that fails.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use homing_core::text::one_line;
use homing_core::{Delivery, JobId, Wake, WakeContent};

use super::active::Active;
use super::events::MonitorEvent;
use super::mailbox::Message;
use crate::Result;
use crate::ledger::{DeadWake, Ledger};

/// How many wakes an alert names.
const MAX_WAKES: usize = 20;

/// How many jobs an alert names for each wake.
const MAX_JOBS: usize = 5;

/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 200;

impl Active<'_> {
    /// Remembers the wakes that were given up, by this monitor, a host or a hook. Without an alert, they are forgotten: an
    /// alert that is configured later does not name old ones.
    pub(super) fn note_dead_wakes(&self) -> Result<()> {
        let dead = self.context.with_ledger(Ledger::take_dead_wakes)?;
        if self.settings.alert.is_some() {
            self.alerts.borrow_mut().due.extend(dead);
        }
        Ok(())
    }

    /// Sends one alert for all wakes that have died since the last one. The next one waits until it is answered.
    pub(super) fn send_alert(&self) -> Result<()> {
        let mut alerts = self.alerts.borrow_mut();
        if alerts.is_in_flight || alerts.due.is_empty() {
            return Ok(());
        }
        let dead = std::mem::take(&mut alerts.due);
        let Some(name) = self.settings.alert.clone() else { return Ok(()) };
        let Some(sink) = self.settings.router.sink(&name).map(Arc::clone) else {
            self.warn(&format!("monitor.alert names the sink {name:?}, which is not configured"));
            return Ok(());
        };
        let wake = Wake {
            id: self.context.new_wake_id()?,
            session: dead[0].session.clone(),
            attempt: 1,
            created_at: self.context.now(),
            content: WakeContent::new(alert_text(&dead), &[]),
        };
        let (sender, wakes) = (self.monitor.sender.clone(), dead.len());
        let send = move || {
            let panicked = |_| Delivery::Failed { error: "the sink panicked".to_owned() };
            let delivery = catch_unwind(AssertUnwindSafe(|| sink.alert(&wake))).unwrap_or_else(panicked);
            sender.send(Message::Alerted { sink: name, wakes, delivery });
        };
        match std::thread::Builder::new().name("homing-alert".to_owned()).spawn(send) {
            Ok(_) => alerts.is_in_flight = true,
            Err(error) => self.warn(&format!("cannot start a thread for an alert: {error}")),
        }
        Ok(())
    }

    /// Reports the answer to an alert. A failed alert is not repeated: it would fail as often as the wakes.
    pub(super) fn on_alert_answer(&self, sink: String, wakes: usize, delivery: Delivery) {
        self.alerts.borrow_mut().is_in_flight = false;
        self.report(&MonitorEvent::Alerted { sink, wakes, delivery });
    }
}

/// The text for a person.
fn alert_text(dead: &[DeadWake]) -> String {
    let mut text = format!(
        "homing could not deliver {} and gave up.\n\n",
        if dead.len() == 1 { "1 wake".to_owned() } else { format!("{} wakes", dead.len()) }
    );
    for DeadWake { session, jobs, reason } in dead.iter().take(MAX_WAKES) {
        let ids: Vec<&str> = jobs.iter().take(MAX_JOBS).map(JobId::as_str).collect();
        let more = jobs.len().saturating_sub(MAX_JOBS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let reason = one_line(reason.as_deref().unwrap_or("no reason is known"), MAX_REASON_CHARS);
        let session = one_line(session.as_str(), MAX_REASON_CHARS);
        let _ = writeln!(text, "Session {session}, jobs {}{more}: {reason}", ids.join(" "));
    }
    if dead.len() > MAX_WAKES {
        let _ = writeln!(text, "and {} more", dead.len() - MAX_WAKES);
    }
    text.push_str(
        "\nhoming follow-ups lists them. homing retry JOB delivers again, homing drop JOB gives up.\n",
    );
    text
}
