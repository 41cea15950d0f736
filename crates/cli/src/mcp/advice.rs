//! What the model should do while jobs run. It must neither poll nor wait for a notification that never comes.

use homing::core::format_duration;
use homing::{Homing, Job, JobState, Origin, Prospect};

use crate::setup::has_waiting_hook;

/// Whether a session is notified of the results of its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Whether the session is open or not.
    Always,
    /// At the latest after it is closed: its harness cannot be notified while the session is open and idle.
    OnceClosed,
    Never,
}

/// Whether the session `reader` is notified when these jobs finish. Blocks.
pub(super) fn wake(homing: &Homing, jobs: &[Job], reader: &Origin) -> Wake {
    let mut wake = Wake::Always;
    for job in jobs {
        match homing.prospect(job, reader, || has_waiting_hook(reader)) {
            Ok(Prospect::Notified { .. }) => {}
            Ok(Prospect::NotifiedOnceClosed { .. }) => wake = Wake::OnceClosed,
            // If this is unknown, waiting is the safe advice.
            Ok(Prospect::NotNotified { .. }) | Err(_) => return Wake::Never,
        }
    }
    wake
}

/// Advice for the model while these jobs run.
pub(super) fn advice(wake: Wake, jobs: &[Job]) -> String {
    let ids: Vec<String> = jobs.iter().map(|job| format!("\"{}\"", job.id)).collect();
    let ids = ids.join(",");
    match wake {
        Wake::Always => {
            "You will be notified here with the result. Do other work or end your turn; do not wait or poll."
                .to_owned()
        }
        Wake::OnceClosed => format!(
            "You will be notified with the result, at the latest after this session is closed. Do other work or end \
             your turn; do not poll. If the user needs the result now, call wait_for_jobs {{\"job_ids\":[{ids}]}}."
        ),
        Wake::Never => format!(
            "Nobody will notify you. Before you finish, call wait_for_jobs {{\"job_ids\":[{ids}]}}. Do not poll."
        ),
    }
}

/// States that a job is running, and its limit.
pub(super) fn still_running(job: &Job) -> String {
    if job.state == JobState::Starting {
        return format!("Job {} is starting; its supervisor has not responded yet.", job.id);
    }
    let limit = match (job.ends_by(), job.limits.timeout) {
        (Some(ends_by), Some(limit)) => {
            format!(" It is stopped at {ends_by} at the latest ({} limit).", format_duration(limit))
        }
        (None, _) | (_, None) => String::new(),
    };
    format!("Job {} is running in the background.{limit}", job.id)
}
