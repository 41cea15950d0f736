//! Decides the next step for a session, and writes its wakes.

use std::collections::BTreeMap;

use homing_core::text::{OutputExcerpt, WakeFormat, WakeTextOptions, failures_first, wake_text};
use homing_core::{
    Job, JobId, Pace, SessionId, SessionView, Step, Timestamp, Wake, WakeContent, WakeId, next_step,
};
use homing_supervisor::DiskError;
use homing_supervisor::platform::random;

use crate::Result;
use crate::context::Context;
use crate::delivery::routes::{Addressee, Router};
use crate::framing::with_nonce;
use crate::ledger::{Hold, NewWake, RouteKey, SessionState, Undelivered, oldest_of};

/// The decision for a session.
pub(super) struct Decision {
    /// The next step.
    pub(super) step: Step,
    /// The sink for the next wake, and the undelivered jobs that go through it, oldest first.
    pub(super) undelivered: Option<(String, Vec<JobId>)>,
    /// Why undelivered jobs wait, if the ledger does not say so already.
    pub(super) holds: Option<BTreeMap<RouteKey, Hold>>,
}

/// The style of a wake's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WakeStyle {
    /// The format.
    pub(crate) format: WakeFormat,
    /// Whether the agent must acknowledge the wake.
    pub(crate) needs_acknowledgement: bool,
}

/// Decides the next step for a session from its state in the ledger.
pub(super) fn decide(
    session: &SessionId,
    state: SessionState,
    router: &Router,
    pace: &Pace,
    now: Timestamp,
) -> Decision {
    let mut holds = BTreeMap::new();
    let undelivered = through_one_sink(session, &state.undelivered, router, &mut holds);
    let view =
        SessionView { open: state.open, has_undelivered: undelivered.is_some(), made_at: state.made_at };
    let step = next_step(&view, pace, now);
    if let Step::Wait { until, held_by_budget: true } = &step {
        let reason = format!("held: {} wakes in the last hour (monitor.wakes_per_hour)", pace.wakes_per_hour);
        for Undelivered { route, .. } in &state.undelivered {
            // Jobs without a route wait for a route, not for the budget.
            let hold = || Hold { until: *until, reason: reason.clone() };
            holds.entry(route.clone()).or_insert_with(hold);
        }
    }
    let holds = Some(holds).filter(|holds| *holds != state.holds);
    Decision { step, undelivered, holds }
}

/// The jobs that go through the same sink as the oldest routed job. Adds the reasons of jobs without a sink to
/// `holds`.
fn through_one_sink(
    session: &SessionId,
    undelivered: &[Undelivered],
    router: &Router,
    holds: &mut BTreeMap<RouteKey, Hold>,
) -> Option<(String, Vec<JobId>)> {
    let mut chosen: Option<(&str, Vec<&Undelivered>)> = None;
    for jobs in undelivered {
        let (harness, sink) = (jobs.route.harness.as_deref(), jobs.route.sink.as_deref());
        match (router.sink_for(Addressee { session, harness, sink }), &mut chosen) {
            (Ok((name, _)), Some((chosen, routes))) if name == *chosen => routes.push(jobs),
            (Ok(_), Some(_)) => {}
            (Ok((name, _)), None) => chosen = Some((name, vec![jobs])),
            (Err(reason), _) => drop(holds.insert(jobs.route.clone(), Hold { until: None, reason })),
        }
    }
    chosen.map(|(name, routes)| (name.to_owned(), oldest_of(routes)))
}

impl Context {
    /// Creates the wake that delivers these jobs to a session. `None` if no job is left.
    pub(crate) fn write_wake(
        &self,
        session: &SessionId,
        sink: Option<&str>,
        style: WakeStyle,
        jobs: &[JobId],
    ) -> Result<Option<NewWake>> {
        let mut jobs_with_output: Vec<(Job, OutputExcerpt)> = Vec::with_capacity(jobs.len());
        for id in jobs {
            if let Some(Ok(job)) = self.with_ledger(|ledger| ledger.job(*id))? {
                // Deliver the outcome even if the output cannot be read any more.
                jobs_with_output.push((job, self.excerpt(*id).unwrap_or_default()));
            }
        }
        if jobs_with_output.is_empty() {
            return Ok(None);
        }
        failures_first(&mut jobs_with_output);
        let id = self.new_wake_id()?;
        let text = with_nonce(|nonce| {
            let options = WakeTextOptions {
                wake: id,
                format: style.format,
                needs_acknowledgement: style.needs_acknowledgement,
                nonce,
            };
            wake_text(&jobs_with_output, &options)
        })?;
        let jobs: Vec<Job> = jobs_with_output.into_iter().map(|(job, _)| job).collect();
        let wake = Wake {
            id,
            session: session.clone(),
            attempt: 1,
            created_at: self.now(),
            content: WakeContent::new(text, &jobs),
        };
        Ok(Some(NewWake { wake, sink: sink.map(str::to_owned) }))
    }

    pub(crate) fn new_wake_id(&self) -> Result<WakeId> {
        Ok(WakeId::new(self.now(), random::bytes().map_err(DiskError::no_random_bytes)?))
    }
}
