//! What one session is to be told next, and in which words.

use homing_core::text::{
    OutputExcerpt, WAKE_LIMIT_JOBS, WakeFormat, WakeTextOptions, failures_first, wake_text,
};
use homing_core::{
    Job, JobId, Pace, SessionId, SessionView, Step, Timestamp, Wake, WakeContent, WakeId, next_step,
};

use crate::Result;
use crate::framing::with_nonce;
use crate::homing::Homing;
use crate::ledger::{Hold, NewWake, Telling, Untold};
use crate::random::random_bytes;
use crate::routes::{Addressee, Router};

/// What is to be done for a session.
pub(super) struct Decision {
    /// The next step.
    pub(super) step: Step,
    /// The sink of the jobs that no wake carries, and those of them that go through it, oldest first.
    pub(super) untold: Option<(String, Vec<JobId>)>,
    /// Why jobs that no wake carries wait, where they do.
    pub(super) hold: Option<Hold>,
    /// Whether the ledger says something else about that.
    pub(super) hold_changed: bool,
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
    telling: Telling,
    router: &Router,
    pace: &Pace,
    now: Timestamp,
) -> Decision {
    let (untold, no_route) = through_one_sink(session, &telling.untold, router);
    let has_jobs_without_wake = !telling.untold.is_empty();
    let view = SessionView { open: telling.open, has_untold: untold.is_some(), made_at: telling.made_at };
    let step = next_step(&view, pace, now);
    let hold = match &step {
        Step::Wait { until, held_by_budget: true } => Some(Hold {
            until: *until,
            reason: format!("held: {} wakes in the last hour (monitor.wakes_per_hour)", pace.wakes_per_hour),
        }),
        Step::Wait { .. } | Step::Settle(_) | Step::Expire(_) | Step::Send(_) | Step::Make => no_route
            .filter(|_| untold.is_none() && has_jobs_without_wake)
            .map(|reason| Hold { until: None, reason }),
    };
    let hold_changed = hold != telling.hold;
    Decision { step, untold, hold, hold_changed }
}

/// The jobs that go through the same sink as the oldest that has one; where none has, why not.
fn through_one_sink(
    session: &SessionId,
    untold: &[Untold],
    router: &Router,
) -> (Option<(String, Vec<JobId>)>, Option<String>) {
    let mut chosen: Option<(String, Vec<JobId>)> = None;
    let mut no_route = None;
    for job in untold {
        let (harness, sink) = (job.harness.as_deref(), job.sink.as_deref());
        match (router.sink_for(Addressee { session, harness, sink }), &mut chosen) {
            (Ok((name, _)), Some((chosen, jobs))) if name == chosen => jobs.push(job.job),
            (Ok(_), Some(_)) => {}
            (Ok((name, _)), None) => chosen = Some((name.to_owned(), vec![job.job])),
            (Err(reason), _) => no_route = no_route.or(Some(reason)),
        }
        if chosen.as_ref().is_some_and(|(_, jobs)| jobs.len() == WAKE_LIMIT_JOBS) {
            break;
        }
    }
    (chosen, no_route)
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
            if let Some(job) = self.with_ledger(|ledger| ledger.job(*id))? {
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
