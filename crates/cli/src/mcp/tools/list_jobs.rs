//! `list_jobs`: lists the jobs of the session, newest first.

use homing::core::text::one_line;
use homing::{Job, ListOptions, StateName};
use serde::Deserialize;

use super::super::answer::{Answer, TEXT_LIMIT_CHARS, ToolError};
use super::super::facts::Facts;
use super::super::request::Request;
use super::super::words::list_line;
use crate::server::blocking;

/// Few, because the model reads every line.
const DEFAULT_LIMIT: u32 = 10;
const MAX_LIMIT: u32 = 50;

/// Reserved for the line below the jobs, in characters.
const RESERVED_CHARS: usize = 200;

/// Which jobs.
#[derive(Deserialize)]
pub(super) struct Arguments {
    state: Option<State>,
    limit: Option<u32>,
    #[serde(default)]
    all_sessions: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Starting,
    Running,
    Finished,
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    if arguments.all_sessions && !request.sees_all {
        return Err(ToolError::arguments(
            "this server shows only the jobs of your session",
            "omit all_sessions; the user can start the server with homing mcp --all-sessions",
        ));
    }
    let limit = arguments.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ToolError::arguments(format!("limit is {limit}"), format!("give 1 to {MAX_LIMIT}")));
    }
    let options = ListOptions {
        session: (!arguments.all_sessions).then(|| request.origin.session.clone()),
        state: arguments.state.map(|state| match state {
            State::Starting => StateName::Starting,
            State::Running => StateName::Running,
            State::Finished => StateName::Finished,
        }),
        limit: Some(limit),
        ..ListOptions::default()
    };
    let homing = request.homing.clone();
    let listing = blocking(move || homing.listing(&options)).await?;
    Ok(answer(&listing.jobs, listing.has_more))
}

/// The answer for these jobs. `more` says that there are further jobs.
pub(super) fn answer(jobs: &[Job], more: bool) -> Answer {
    let room = (TEXT_LIMIT_CHARS - RESERVED_CHARS) / jobs.len().max(1);
    let mut text: String = jobs.iter().map(|job| line(job, room)).collect();
    text += &last_line(jobs, more);
    Answer::new(text, &Facts::without_output(jobs))
}

/// One line for a job, of at most `room` characters.
fn line(job: &Job, room: usize) -> String {
    one_line(&list_line(job), room.saturating_sub("\n".len())) + "\n"
}

/// The number of jobs, and what to do about unread results.
fn last_line(jobs: &[Job], more: bool) -> String {
    let (count, unread) = (jobs.len(), jobs.iter().filter(|job| job.is_unread()).count());
    let older = if more { "; older ones are not listed" } else { "" };
    match (count, unread) {
        (0, _) => "No jobs to list. run_command launches one.\n".to_owned(),
        (_, 0) => format!("Jobs listed: {count}{older}.\n"),
        (_, _) => {
            format!("Jobs listed: {count}{older}. wait_for_jobs returns the {unread} results not read.\n")
        }
    }
}
