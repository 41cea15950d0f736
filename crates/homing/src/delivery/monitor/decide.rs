//! What one session is to be told next, and in which words.

use std::collections::BTreeMap;

use homing_core::text::{OutputExcerpt, WakeFormat, WakeTextOptions, failures_first, wake_text};
use homing_core::{
    Job, JobId, Pace, SessionId, SessionView, Step, Timestamp, Wake, WakeContent, WakeId, next_step,
};

use crate::Result;
use crate::delivery::routes::{Addressee, Router};
use crate::framing::with_nonce;
use crate::homing::Homing;
use crate::ledger::{Hold, NewWake, RouteKey, SessionState, Undelivered, oldest_of};
use crate::store::random::random_bytes;

/// What is to be done for a session.
pub(super) struct Decision {
    /// The next step.
    pub(super) step: Step,
    /// The sink of the jobs that no wake carries, and those of them that go through it, oldest first.
    pub(super) undelivered: Option<(String, Vec<JobId>)>,
    /// Why jobs that no wake carries wait, where the ledger does not say so already.
    pub(super) holds: Option<BTreeMap<RouteKey, Hold>>,
}

/// How the text of a wake is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WakeStyle {
    /// How it is laid out.
    pub(crate) format: WakeFormat,
    /// Whether the agent has to acknowledge by itself.
    pub(crate) needs_acknowledgement: bool,
}

/// Decides what is to be done for a session, by what the ledger knows of it.
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
            // What has no route waits for that, and not for the budget.
            let hold = || Hold { until: *until, reason: reason.clone() };
            holds.entry(route.clone()).or_insert_with(hold);
        }
    }
    let holds = Some(holds).filter(|holds| *holds != state.holds);
    Decision { step, undelivered, holds }
}

/// The jobs that go through the same sink as the oldest that has one. Why the others have none is added to `holds`.
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

impl Homing {
    /// Writes the wake that tells a session of these jobs. `None` where nothing is left to tell.
    pub(crate) fn write_wake(
        &self,
        session: &SessionId,
        sink_name: &str,
        style: WakeStyle,
        jobs: &[JobId],
    ) -> Result<Option<NewWake>> {
        let mut told: Vec<(Job, OutputExcerpt)> = Vec::with_capacity(jobs.len());
        for id in jobs {
            if let Some(Ok(job)) = self.with_ledger(|ledger| ledger.job(*id))? {
                // What cannot be read any more is no reason not to tell of the end.
                told.push((job, self.excerpt(*id).unwrap_or_default()));
            }
        }
        if told.is_empty() {
            return Ok(None);
        }
        failures_first(&mut told);
        let id = self.new_wake_id()?;
        let text = with_nonce(|nonce| {
            let options = WakeTextOptions {
                wake: id,
                format: style.format,
                needs_acknowledgement: style.needs_acknowledgement,
                nonce,
            };
            wake_text(&told, &options)
        })?;
        let jobs: Vec<Job> = told.into_iter().map(|(job, _)| job).collect();
        let wake = Wake {
            id,
            session: session.clone(),
            attempt: 1,
            created_at: self.now(),
            content: WakeContent::new(text, &jobs),
        };
        Ok(Some(NewWake { wake, sink: sink_name.to_owned() }))
    }

    pub(crate) fn new_wake_id(&self) -> Result<WakeId> {
        Ok(WakeId::new(self.now(), random_bytes()?))
    }
}
