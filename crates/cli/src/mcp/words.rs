//! What a model is told to do next. It must neither poll nor wait for a wake that nobody sends.

use homing::core::{Timestamp, format_duration};
use homing::{Homing, Job};

/// What becomes of a job that goes on in the background.
pub(super) struct Prospect {
    /// Whether its session is woken when it is over.
    pub(super) will_be_woken: bool,
    /// When it is ended at the latest.
    pub(super) ends_at: Option<Timestamp>,
}

impl Prospect {
    /// Of this job, as far as is known now. Blocks.
    pub(super) fn of(homing: &Homing, job: &Job) -> Prospect {
        // Where it is not known, waiting is the safe advice.
        let will_be_woken = homing.wakes_the_agent_of(job).unwrap_or(false);
        let ends_at = job.limits.timeout.map(|limit| {
            let since = job.state.started().map_or(job.created_at, |started| started.started_at);
            since.saturating_add(limit)
        });
        Prospect { will_be_woken, ends_at }
    }

    /// That it goes on, until when, and what to do meanwhile.
    pub(super) fn text(&self, job: &Job) -> String {
        let id = job.id;
        let limit = match (self.ends_at, job.limits.timeout) {
            (Some(ends_at), Some(limit)) => {
                format!(" It is ended at {ends_at} at the latest (time limit {}).", format_duration(limit))
            }
            (None, _) | (_, None) => String::new(),
        };
        format!("Job {id} runs in the background.{limit}\n{}\n", self.advice(&format!("[\"{id}\"]")))
    }

    /// What to do while jobs run.
    pub(super) fn advice(&self, ids: &str) -> String {
        if self.will_be_woken {
            "Do not poll: you will be woken with the result. Go on with other work, or end your turn."
                .to_owned()
        } else {
            format!(
                "Nobody wakes you here: when you need the result, call wait_for_jobs with job_ids {ids}. Do not poll."
            )
        }
    }
}

/// The ids as an array, ready to be copied into a call.
pub(super) fn id_list(jobs: &[Job]) -> String {
    let ids: Vec<String> = jobs.iter().map(|job| format!("\"{}\"", job.id)).collect();
    format!("[{}]", ids.join(", "))
}
