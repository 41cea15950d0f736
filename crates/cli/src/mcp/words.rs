//! What a model is told to do next. It must neither poll nor wait for a wake that nobody sends.

use homing::core::{Timestamp, format_duration};
use homing::{Homing, Job, SessionId};

/// Whether `reader` is woken when these jobs are over. Blocks.
pub(super) fn will_be_woken(homing: &Homing, jobs: &[Job], reader: &SessionId) -> bool {
    // Where it is not known, waiting is the safe advice.
    jobs.iter().all(|job| job.session == *reader && homing.wakes_the_agent_of(job).unwrap_or(false))
}

/// What to do while these jobs run.
pub(super) fn advice(will_be_woken: bool, jobs: &[Job]) -> String {
    if will_be_woken {
        return "Do not poll: you will be woken with the result. Go on with other work, or end your turn."
            .to_owned();
    }
    let ids: Vec<String> = jobs.iter().map(|job| format!("\"{}\"", job.id)).collect();
    let ids = ids.join(", ");
    format!(
        "Nobody wakes you here: when you need the result, call wait_for_jobs with job_ids [{ids}]. Do not poll."
    )
}

/// When a job is ended at the latest, where it has a limit.
pub(super) fn ends_at(job: &Job) -> Option<Timestamp> {
    let since = job.state.started().map_or(job.created_at, |started| started.started_at);
    job.limits.timeout.map(|limit| since.saturating_add(limit))
}

/// That a job goes on, and until when.
pub(super) fn goes_on(job: &Job) -> String {
    let limit = match (ends_at(job), job.limits.timeout) {
        (Some(ends_at), Some(limit)) => {
            format!(" It is ended at {ends_at} at the latest (time limit {}).", format_duration(limit))
        }
        (None, _) | (_, None) => String::new(),
    };
    format!("Job {} runs in the background.{limit}", job.id)
}
