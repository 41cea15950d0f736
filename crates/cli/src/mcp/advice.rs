//! What a model is told to do next. It must neither poll nor wait for a wake that nobody sends.

use homing::core::format_duration;
use homing::{Homing, Job, JobState, Origin};

use crate::hooks::CLAUDE_CODE_ENTRYPOINT;
use crate::setup::{ConfigPaths, wakes_open_sessions};

/// Whether a session hears how its jobs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Whether it is open or not.
    Always,
    /// Its harness lets nobody wake it while it is open and idle.
    OnceClosed,
    Never,
}

/// Whether `reader`, of that harness, is woken when these jobs are over. Blocks.
pub(super) fn wake(homing: &Homing, jobs: &[Job], reader: &Origin) -> Wake {
    // Where it is not known, waiting is the safe advice.
    let is_woken =
        |job: &Job| job.session == reader.session && homing.wakes_the_agent_of(job).unwrap_or(false);
    if !jobs.iter().all(is_woken) {
        return Wake::Never;
    }
    match reader.harness.as_deref() {
        Some(harness) if sleeps_while_open(harness) => Wake::OnceClosed,
        Some(_) | None => Wake::Always,
    }
}

/// Whether nobody can wake a session of that harness that is open and idle.
fn sleeps_while_open(harness: &str) -> bool {
    let (variable, terminal) = CLAUDE_CODE_ENTRYPOINT;
    let in_terminal = || std::env::var_os(variable).is_none_or(|entry| entry == terminal);
    match harness {
        "claude-code" => {
            in_terminal()
                && !ConfigPaths::from_environment().is_some_and(|places| wakes_open_sessions(&places))
        }
        // No hook of it can, and it lets nobody else write to a thread that is open.
        harness => harness == "codex",
    }
}

/// What to do while these jobs run.
pub(super) fn advice(wake: Wake, jobs: &[Job]) -> String {
    let ids: Vec<String> = jobs.iter().map(|job| format!("\"{}\"", job.id)).collect();
    let ids = ids.join(",");
    match wake {
        Wake::Always => {
            "You will be notified here with the result. Do other work or end your turn; do not wait or poll."
                .to_owned()
        }
        Wake::OnceClosed => format!(
            "You will be notified with the result, at the latest after this session is closed. Do other work or end your \
             turn; do not poll. If the user needs the result now, call wait_for_jobs {{\"job_ids\":[{ids}]}}."
        ),
        Wake::Never => format!(
            "Nobody will notify you. Before you finish, call wait_for_jobs {{\"job_ids\":[{ids}]}}. Do not poll."
        ),
    }
}

/// That a job goes on, and until when.
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
