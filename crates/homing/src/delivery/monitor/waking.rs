//! How the active monitor gives wakes to sinks: it decides for the sessions that are ready, writes that down with one
//! commit, and starts the attempts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use homing_core::{BUDGET_WINDOW, JobId, SessionId, Step, Timestamp, Wake, WakeEvent, WakeId, WakeState};
use homing_supervisor::crash_point;

use super::MonitorEvent;
use super::active::Active;
use super::decide::{WakeStyle, decide};
use super::deliver::deliver;
use crate::Result;
use crate::ledger::{Hold, NewWake, SessionState, WakeChange};

/// When a job that its session is about to acknowledge itself is looked at again.
const ATTENDED_PAUSE: Duration = Duration::from_millis(100);

/// A wake that is in flight by the ledger, and has to be given to its sink.
struct Outgoing {
    wake: Wake,
    sink_name: String,
}

/// What was chosen for a session.
enum Chosen {
    Send(Box<Outgoing>),
    Make,
    /// The sink of its next wake has no free slot.
    WaitFor(String),
}

impl Active<'_> {
    /// How many more deliveries may start, whatever their sinks.
    pub(super) fn available_slots(&self) -> usize {
        if self.stop_at.is_some() {
            return 0;
        }
        self.settings.concurrency.saturating_sub(self.slots.len())
    }

    /// Makes the sessions ready that waited for a slot of a sink which has one again.
    pub(super) fn ready_waiting(&mut self) {
        let router = &self.settings.router;
        let limit_of = |sink: &str| router.sink(sink).map_or(usize::MAX, |sink| sink.concurrency());
        for session in self.slots.take_startable(limit_of, self.settings.concurrency) {
            self.queue_session(session);
        }
    }

    /// Decides for the sessions that are ready, and gives their wakes to sinks: many with one commit.
    pub(super) fn wake_sessions(&mut self) -> Result<()> {
        let done = self.send_what_is_due();
        self.slots.release_claims();
        done
    }

    fn send_what_is_due(&mut self) -> Result<()> {
        let mut changes = Vec::new();
        let mut sending: Vec<Outgoing> = Vec::new();
        let mut looked_at = Vec::new();
        while self.available_slots() > 0 {
            let Some(session) = self.ready.pop() else { break };
            looked_at.push(session.clone());
            match self.decide(&session, &mut changes) {
                Ok(Some(Chosen::Send(outgoing))) => sending.push(*outgoing),
                Ok(Some(Chosen::WaitFor(sink))) => self.slots.wait_for(sink, session),
                Ok(Some(Chosen::Make) | None) => {}
                Err(error) => {
                    looked_at.into_iter().for_each(|session| self.queue_session(session));
                    return Err(error);
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let made = match self.change(&changes) {
            Ok(made) => made,
            Err(error) => {
                looked_at.into_iter().for_each(|session| self.queue_session(session));
                return Err(error);
            }
        };
        crash_point("monitor/claimed");
        for (change, made) in changes.into_iter().zip(made) {
            match change {
                WakeChange::Made(new) if made => {
                    let NewWake { wake, sink } = *new;
                    self.send(Outgoing { wake, sink_name: sink });
                }
                // Somebody has read one of the results meanwhile.
                WakeChange::Made(new) => self.queue_session(new.wake.session),
                WakeChange::Moved(id, WakeEvent::Started) if made => {
                    if let Some(position) = sending.iter().position(|outgoing| outgoing.wake.id == id) {
                        self.send(sending.swap_remove(position));
                    }
                }
                WakeChange::Moved(..)
                | WakeChange::Queued(_)
                | WakeChange::Held(..)
                | WakeChange::SinkRemoved(..) => {}
            }
        }
        Ok(())
    }

    /// Decides for one session, and adds what has to be changed for that.
    fn decide(&mut self, session: &SessionId, changes: &mut Vec<WakeChange>) -> Result<Option<Chosen>> {
        loop {
            let since = self.homing.now().saturating_sub(BUDGET_WINDOW.max(self.settings.pace.batch_window));
            let state = self.homing.with_ledger(|ledger| ledger.state(session, since))?;
            // After reading: what somebody else has just written does not lie ahead.
            let now = self.homing.now();
            if let Some(lost) = self.lost_answer(&state) {
                self.change(&[WakeChange::Moved(lost, WakeEvent::AnswerLost)])?;
                continue;
            }
            if let Some((stranded, sink)) = self.stranded(&state) {
                self.change(&[WakeChange::SinkRemoved(stranded, sink)])?;
                continue;
            }
            let held_before: Vec<String> = state.holds.values().map(|hold| hold.reason.clone()).collect();
            let decision = decide(session, state, &self.settings.router, &self.settings.pace, now);
            if let Some(holds) = decision.holds {
                let new: BTreeMap<String, Hold> = holds
                    .values()
                    .filter(|hold| !held_before.contains(&hold.reason))
                    .map(|hold| (hold.reason.clone(), hold.clone()))
                    .collect();
                for Hold { until, reason } in new.into_values() {
                    self.report(&MonitorEvent::Held { session: session.clone(), until, reason });
                }
                changes.push(WakeChange::Held(session.clone(), holds));
            }
            match (decision.step, decision.undelivered) {
                (Step::Supersede(wake), _) => {
                    drop(self.change(&[WakeChange::Moved(wake, WakeEvent::Superseded)])?);
                }
                (Step::Expire(wake), _) => {
                    drop(self.change(&[WakeChange::Moved(wake, WakeEvent::NotAcknowledged)])?);
                }
                (Step::Send(id), _) => {
                    // Read before it is said to be in flight: after that, nothing may fail.
                    let found = self.homing.with_ledger(|ledger| ledger.wake_to_send(id))?;
                    let Some((wake, sink_name)) = found else { return Ok(None) };
                    if !self.claim(&sink_name) {
                        return Ok(Some(Chosen::WaitFor(sink_name)));
                    }
                    changes.push(WakeChange::Moved(id, WakeEvent::Started));
                    return Ok(Some(Chosen::Send(Box::new(Outgoing { wake, sink_name }))));
                }
                (Step::Make, Some((name, jobs))) => {
                    // Before it is written: that reads the outputs of its jobs.
                    if !self.claim(&name) {
                        return Ok(Some(Chosen::WaitFor(name)));
                    }
                    let Some(new) = self.write_wake_unless_read(session, &name, jobs)? else {
                        return Ok(None);
                    };
                    changes.push(WakeChange::Made(Box::new(new)));
                    return Ok(Some(Chosen::Make));
                }
                (Step::Make, None) => return Ok(None),
                (Step::Wait { until, .. }, _) => {
                    let due = until.map(|until| Instant::now() + until.saturating_since(now));
                    self.sessions.set(session, due);
                    return Ok(None);
                }
            }
        }
    }

    /// Takes a slot of a sink for the wake that is about to be sent.
    fn claim(&mut self, sink: &str) -> bool {
        let limit = self.settings.router.sink(sink).map_or(usize::MAX, |sink| sink.concurrency());
        self.slots.claim(sink, limit, self.settings.concurrency)
    }

    /// A wake that is in flight by the ledger, and that no sink of ours has: a commit seemed to fail that did not.
    fn lost_answer(&self, state: &SessionState) -> Option<WakeId> {
        let in_flight = state.open.iter().filter(|wake| wake.progress.state == WakeState::InFlight);
        in_flight.map(|wake| wake.id).find(|id| !self.slots.has(*id))
    }

    /// A wake that waits for a sink which is not there any more: its follow-ups are to be routed anew.
    fn stranded(&self, state: &SessionState) -> Option<(WakeId, String)> {
        state.scheduled_for.iter().find(|(_, sink)| self.settings.router.sink(sink).is_none()).cloned()
    }

    /// Writes the wake that tells of these jobs, but for those whose results the session is reading itself just now.
    fn write_wake_unless_read(
        &mut self,
        session: &SessionId,
        sink: &str,
        mut jobs: Vec<JobId>,
    ) -> Result<Option<NewWake>> {
        let Some(sink_itself) = self.settings.router.sink(sink) else { return Ok(None) };
        let all = jobs.len();
        jobs.retain(|job| !self.homing.is_reserved(*job));
        if jobs.len() < all {
            self.sessions.set(session, Some(Instant::now() + ATTENDED_PAUSE));
        }
        let style = WakeStyle {
            format: sink_itself.format(),
            needs_acknowledgement: sink_itself.needs_acknowledgement(),
        };
        self.homing.write_wake(session, sink, style, &jobs)
    }

    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { wake, sink_name } = outgoing;
        let Some(sink) = self.settings.router.sink(&sink_name).map(Arc::clone) else {
            // The configuration was changed between the decision and this: the wake is routed anew.
            return self.on_answer(wake.id, wake.session, WakeEvent::AnswerLost);
        };
        self.report(&MonitorEvent::Sending {
            wake: wake.id,
            session: wake.session.clone(),
            sink: sink_name.clone(),
            attempt: wake.attempt,
            jobs: wake.content.job_ids.len(),
        });
        self.slots.start(wake.id, wake.session.clone(), sink_name);
        deliver(wake, sink, &self.monitor.sender);
    }

    /// Hastens what waits for sessions that are free, once no answer of them is under way any more.
    pub(super) fn retry_freed_sessions(&mut self) -> Result<()> {
        let at_work = self.slots.sessions();
        let freed: Vec<SessionId> =
            self.freed.iter().filter(|session| !at_work.contains(session)).cloned().collect();
        for session in freed {
            self.retry_now(&session)?;
            self.freed.remove(&session);
            self.queue_session(session);
        }
        Ok(())
    }

    /// A session that was busy is free: what waits for it need not wait longer.
    fn retry_now(&self, session: &SessionId) -> Result<()> {
        let state =
            self.homing.with_ledger(|ledger| ledger.state(session, Timestamp::from_unix_millis(i64::MAX)))?;
        let changes: Vec<WakeChange> = state
            .open
            .iter()
            .filter(|wake| wake.progress.busy_answers > 0)
            .map(|wake| WakeChange::Moved(wake.id, WakeEvent::RetriedNow { from_the_start: false }))
            .collect();
        if changes.is_empty() { Ok(()) } else { self.change(&changes).map(drop) }
    }
}
