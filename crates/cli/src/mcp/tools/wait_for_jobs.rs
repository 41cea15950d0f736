//! `wait_for_jobs`: waits until jobs finish and returns their results.

use std::time::Duration;

use homing::core::text::one_line;
use homing::{Homing, Job, JobId, Origin, WaitFor, Waited};
use serde::Deserialize;

use super::super::advice::{Moment, advice, wake};
use super::super::answer::{Answer, TEXT_LIMIT_CHARS, ToolError};
use super::super::arguments::check_job_ids;
use super::super::facts::{Facts, JobFacts};
use super::super::request::Request;
use super::super::results::{LEAST_CHARS, Recent, finished_text, unfinished_text};
use super::super::waiting::{MAX_WAIT, wait};
use super::super::words::{RunningLine, finished_line, running_line};
use crate::server::blocking;

/// Default time to wait: most clients abandon a call after a minute.
const DEFAULT_WAIT: Duration = Duration::from_secs(50);

/// The output so far of a job that keeps running. Little, because a model that waits again has seen most of it.
const RECENT: Recent = Recent { lines: 5, chars: 1_000 };

/// Reserved for the last line: advice with 20 ids.
const RESERVED_CHARS: usize = 600;

/// Which jobs, and how long.
#[derive(Deserialize)]
pub(super) struct Arguments {
    job_ids: Vec<String>,
    #[serde(default)]
    any: bool,
    wait_ms: Option<u64>,
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let at_most = arguments.wait_ms.map_or(DEFAULT_WAIT, Duration::from_millis).min(MAX_WAIT);
    let wait_for = if arguments.any { WaitFor::Any } else { WaitFor::All };
    let (scope, named) = (request.job_scope(), check_job_ids(arguments.job_ids)?);
    let (homing, session) = (request.homing.clone(), request.origin.session.clone());
    let (ids, hold) = blocking(move || {
        let ids: Vec<JobId> = scope.find_all(&named)?.iter().map(|job| job.id).collect();
        let hold = homing.hold_delivery(&ids, &session);
        Ok::<_, ToolError>((ids, hold))
    })
    .await?;
    let waited = wait(request, ids, wait_for, at_most).await?;
    let (homing, reader) = (request.homing.clone(), request.origin.clone());
    let moment = if at_most.is_zero() { Moment::Running } else { Moment::Waited };
    let (waited, answer) =
        blocking(move || answer(&homing, &waited, moment, &reader).map(|answer| (waited, answer))).await?;
    request.acknowledge_on_delivery(&waited.jobs, hold);
    Ok(answer)
}

/// The results of the finished jobs, then the states of the others with their last output, then advice for these.
fn answer(homing: &Homing, waited: &Waited, moment: Moment, reader: &Origin) -> homing::Result<Answer> {
    let is_titled = waited.jobs.len() > 1;
    let finished = |job: &&Job| job.outcome().is_some();
    let running: Vec<Job> = waited.jobs.iter().filter(|job| !finished(job)).cloned().collect();
    let mut room = TEXT_LIMIT_CHARS - RESERVED_CHARS;
    let (mut results, mut states, mut facts) = (String::new(), String::new(), Vec::new());
    // The states first: their size is limited, and the results share the rest.
    let states_share = room / 2 / running.len().max(1);
    let mut next_bytes = Vec::new();
    for job in &running {
        let line = RunningLine { is_titled: true, ..RunningLine::default() };
        let share = states_share.saturating_sub(LEAST_CHARS * 2).min(RECENT.chars);
        let state = if share < LEAST_CHARS {
            (running_line(job, line), 0)
        } else {
            let unfinished = unfinished_text(homing, job, line, Recent { chars: share, ..RECENT })?;
            (unfinished.text, unfinished.next_byte)
        };
        room = room.saturating_sub(state.0.chars().count());
        states += &state.0;
        next_bytes.push((job.id, state.1));
    }
    let count = waited.jobs.len() - running.len();
    for (done, job) in waited.jobs.iter().filter(finished).enumerate() {
        let share = room / (count - done);
        let result = finished_text(homing, job, is_titled, share)?;
        let part = match result.chars().count() <= share {
            true => result,
            false => one_line(&finished_line(job, is_titled).unwrap_or_default(), share - 1) + "\n",
        };
        room -= part.chars().count();
        results += &part;
    }
    for job in &waited.jobs {
        let next = next_bytes.iter().find(|(id, _)| *id == job.id).map(|(_, next)| *next);
        facts.push(JobFacts::new(job, next.unwrap_or(job.output.total_bytes)));
    }
    let last = match running.is_empty() {
        true => String::new(),
        false => advice(wake(homing, &running, reader), moment, &running),
    };
    Ok(Answer::new(results + &states + &last, &Facts::Jobs(facts)))
}
