//! Hands wakes to sinks in the active monitor: decides for the sessions that are ready, commits all decisions at
//! once, and starts the attempts.

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
use crate::delivery::routes::Addressee;
use crate::ledger::{Hold, NewWake, SessionState, WakeChange};

/// When to check a job again whose session reads the result itself.
const HELD_PAUSE: Duration = Duration::from_millis(100);

/// A wake that is in flight in the ledger and must be handed to its sink.
struct Outgoing {
    wake: Wake,
    sink_name: String,
}

/// The decision for a session.
enum Chosen {
    Send(Box<Outgoing>),
    Make,
    /// The sink of its next wake has no free slot.
    WaitFor(String),
}

impl Active<'_> {
    /// How many more deliveries may start, regardless of their sinks.
    pub(super) fn available_slots(&self) -> usize {
        if self.stop_at.is_some() {
            return 0;
        }
        self.settings.concurrency.saturating_sub(self.slots.len())
    }

    /// Queues sessions that waited for a sink that has a free slot again.
    pub(super) fn queue_waiting(&mut self) {
        let router = &self.settings.router;
        let limit_of = |sink: &str| router.sink(sink).map_or(usize::MAX, |sink| sink.concurrency());
        for session in self.slots.take_startable(limit_of, self.settings.concurrency) {
            self.queue_session(session);
        }
    }

    /// Decides for the sessions that are ready, and hands their wakes to sinks, many with one commit.
    pub(super) fn wake_sessions(&mut self) -> Result<()> {
        let result = self.send_due_wakes();
        self.slots.release_claims();
        result
    }

    fn send_due_wakes(&mut self) -> Result<()> {
        let mut changes = Vec::new();
        let mut sending: Vec<Outgoing> = Vec::new();
        let mut considered = Vec::new();
        while self.available_slots() > 0 {
            let Some(session) = self.ready.pop() else { break };
            considered.push(session.clone());
            match self.decide(&session, &mut changes) {
                Ok(Some(Chosen::Send(outgoing))) => sending.push(*outgoing),
                Ok(Some(Chosen::WaitFor(sink))) => self.slots.wait_for(sink, session),
                Ok(Some(Chosen::Make) | None) => {}
                Err(error) => {
                    considered.into_iter().for_each(|session| self.queue_session(session));
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
                considered.into_iter().for_each(|session| self.queue_session(session));
                return Err(error);
            }
        };
        crash_point("monitor/claimed");
        for (change, made) in changes.into_iter().zip(made) {
            match change {
                WakeChange::Made(new) if made => {
                    if let NewWake { wake, sink: Some(sink_name) } = *new {
                        self.send(Outgoing { wake, sink_name });
                    }
                }
                // The session has read one of the results meanwhile, or a host has leased another wake.
                WakeChange::Made(new) => self.queue_session(new.wake.session),
                WakeChange::Moved(id, WakeEvent::Started) => {
                    if let Some(position) = sending.iter().position(|outgoing| outgoing.wake.id == id) {
                        let outgoing = sending.swap_remove(position);
                        match made {
                            true => self.send(outgoing),
                            // Another process has claimed it, or a host has leased another wake.
                            false => self.queue_session(outgoing.wake.session),
                        }
                    }
                }
                WakeChange::Moved(..)
                | WakeChange::Queued(_)
                | WakeChange::Held(..)
                | WakeChange::Rerouted(..)
                | WakeChange::SinkFound(..) => {}
            }
        }
        Ok(())
    }

    /// Decides for one session, and adds the changes to `changes`.
    fn decide(&mut self, session: &SessionId, changes: &mut Vec<WakeChange>) -> Result<Option<Chosen>> {
        loop {
            let since = self.context.now().saturating_sub(BUDGET_WINDOW.max(self.settings.pace.batch_window));
            let mut state = self.context.with_ledger(|ledger| ledger.state(session, since))?;
            // Read the clock after the state, so that entries of other processes are not in the future.
            let now = self.context.now();
            if let Some(lost) = self.lost_answer(&state) {
                self.change(&[WakeChange::Moved(lost, WakeEvent::AnswerLost)])?;
                continue;
            }
            if let Some(change) = self.routing(session, &state)? {
                self.change(&[change])?;
                continue;
            }
            // They wait for a claim, and hold back no wake that has a sink.
            let unrouted: Vec<WakeId> =
                state.scheduled_for.iter().filter(|(_, sink)| sink.is_none()).map(|(id, _)| *id).collect();
            state.open.retain(|wake| wake.is_superseded || !unrouted.contains(&wake.id));
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
                (Step::ExpireLease(wake, lease), _) => {
                    drop(self.change(&[WakeChange::Moved(wake, WakeEvent::LeaseExpired(lease))])?);
                }
                (Step::Send(id), _) => {
                    // Read it before it is marked as in flight: nothing may fail after that.
                    let found = self.context.with_ledger(|ledger| ledger.wake_to_send(id))?;
                    let Some((wake, Some(sink_name))) = found else { return Ok(None) };
                    if !self.claim(&sink_name) {
                        return Ok(Some(Chosen::WaitFor(sink_name)));
                    }
                    changes.push(WakeChange::Moved(id, WakeEvent::Started));
                    return Ok(Some(Chosen::Send(Box::new(Outgoing { wake, sink_name }))));
                }
                (Step::Make, Some((name, jobs))) => {
                    // Claim before creating the wake: creating it reads the outputs of its jobs.
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

    /// Claims a slot of a sink for the next wake.
    fn claim(&mut self, sink: &str) -> bool {
        let limit = self.settings.router.sink(sink).map_or(usize::MAX, |sink| sink.concurrency());
        self.slots.claim(sink, limit, self.settings.concurrency)
    }

    /// A wake that a sink has in the ledger but not in this monitor: a commit succeeded that seemed to fail.
    fn lost_answer(&self, state: &SessionState) -> Option<WakeId> {
        let in_flight = state.open.iter().filter(|wake| wake.progress.state == WakeState::InFlight);
        let in_flight = in_flight.filter(|wake| wake.progress.lease.is_none());
        in_flight.map(|wake| wake.id).find(|id| !self.slots.has(*id))
    }

    /// The change for a scheduled wake whose sink does not exist any more, or that has no sink although a route leads to one.
    fn routing(&self, session: &SessionId, state: &SessionState) -> Result<Option<WakeChange>> {
        let router = &self.settings.router;
        for (wake, sink) in &state.scheduled_for {
            if let Some(sink) = sink {
                if router.sink(sink).is_none() {
                    let reason =
                        format!("sink {sink:?} is no longer configured; a new wake replaces this one");
                    return Ok(Some(WakeChange::Rerouted(*wake, reason)));
                }
                continue;
            }
            let routes = self.context.with_ledger(|ledger| ledger.routes_of(*wake))?;
            let found = routes.iter().find_map(|route| {
                let (harness, sink) = (route.harness.as_deref(), route.sink.as_deref());
                router.sink_for(Addressee { session, harness, sink }).ok()
            });
            match found {
                // The text does not tell the agent to acknowledge.
                Some((name, sink)) if sink.needs_acknowledgement() => {
                    let reason = format!("a route leads to sink {name:?}; a new wake replaces this one");
                    return Ok(Some(WakeChange::Rerouted(*wake, reason)));
                }
                Some((name, _)) => return Ok(Some(WakeChange::SinkFound(*wake, name.to_owned()))),
                None => {}
            }
        }
        Ok(None)
    }

    /// Creates the wake for these jobs, except for jobs whose results the session reads itself.
    fn write_wake_unless_read(
        &mut self,
        session: &SessionId,
        sink: &str,
        mut jobs: Vec<JobId>,
    ) -> Result<Option<NewWake>> {
        let Some(sink_config) = self.settings.router.sink(sink) else { return Ok(None) };
        let all = jobs.len();
        jobs.retain(|job| !self.context.is_reserved(*job));
        if jobs.len() < all {
            self.sessions.set(session, Some(Instant::now() + HELD_PAUSE));
        }
        let style = WakeStyle {
            format: sink_config.format(),
            needs_acknowledgement: sink_config.needs_acknowledgement(),
        };
        self.context.write_wake(session, Some(sink), style, &jobs)
    }

    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { wake, sink_name } = outgoing;
        let Some(sink) = self.settings.router.sink(&sink_name).map(Arc::clone) else {
            // The configuration changed after the decision: the wake is routed again.
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

    /// Retries wakes of free sessions now, once no delivery to them is in flight.
    pub(super) fn retry_freed_sessions(&mut self) -> Result<()> {
        let in_flight = self.slots.sessions();
        let freed: Vec<SessionId> =
            self.freed.iter().filter(|session| !in_flight.contains(session)).cloned().collect();
        for session in freed {
            self.retry_now(&session)?;
            self.freed.remove(&session);
            self.queue_session(session);
        }
        Ok(())
    }

    /// Retries the wakes of a session that was busy.
    fn retry_now(&self, session: &SessionId) -> Result<()> {
        let state = self
            .context
            .with_ledger(|ledger| ledger.state(session, Timestamp::from_unix_millis(i64::MAX)))?;
        let changes: Vec<WakeChange> = state
            .open
            .iter()
            .filter(|wake| wake.progress.busy_answers > 0)
            .map(|wake| WakeChange::Moved(wake.id, WakeEvent::RetriedNow { from_the_start: false }))
            .collect();
        if changes.is_empty() { Ok(()) } else { self.change(&changes).map(drop) }
    }
}
