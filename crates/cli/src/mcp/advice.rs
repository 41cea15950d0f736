//! What the model should do while jobs run. It must neither poll nor wait for a notification that never comes.

use homing::{Homing, Job, Origin, Prospect};

use crate::setup::has_waiting_hook;

/// Whether a session is notified of the results of its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Whether the session is open or not.
    Always,
    /// Only after it is closed: its harness cannot be notified while the session is open and idle.
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

/// When the advice is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The jobs run, and the model has not waited for them.
    Running,
    /// The model has waited for them.
    Waited,
}

/// The last line of an answer about jobs that run: whether the session is notified, and what to do.
pub(super) fn advice(wake: Wake, moment: Moment, jobs: &[Job]) -> String {
    let ids: Vec<String> = jobs.iter().map(|job| format!("\"{}\"", job.id)).collect();
    let ids = format!("{{\"job_ids\":[{}]}}", ids.join(","));
    if jobs.iter().all(|job| job.limits.timeout.is_none()) {
        // Probably servers: nobody waits for their end.
        let notified = match wake {
            Wake::Always => "You will be notified here when it ends.",
            Wake::OnceClosed => "You will be notified of its end only after this session is closed.",
            Wake::Never => "Nobody will notify you of its end; wait_for_jobs waits for it.",
        };
        return format!(
            "No time limit: stop it with kill_jobs {ids} when it is no longer needed. {notified}\n"
        );
    }
    match (wake, moment) {
        (Wake::Always, Moment::Running) => {
            "You will be notified here with the result. Do other work or end your turn; do not wait or poll.\n"
                .to_owned()
        }
        (Wake::Always, Moment::Waited) => "You will be notified here with the result. End your turn, or call \
             wait_for_jobs again if you need the result now.\n"
            .to_owned(),
        (Wake::OnceClosed, Moment::Running | Moment::Waited) => format!(
            "You will be notified only after this session is closed. If the user needs the result now, call \
             wait_for_jobs {ids}.\n"
        ),
        (Wake::Never, Moment::Running) => {
            format!("Nobody will notify you. Before you finish, call wait_for_jobs {ids}.\n")
        }
        (Wake::Never, Moment::Waited) => {
            format!("Nobody will notify you. Call wait_for_jobs {ids} again; the jobs continue.\n")
        }
    }
}
