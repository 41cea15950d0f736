//! `list_jobs`: lists the jobs of the session, newest first.

use homing::core::text::{RESULT_LIMIT_CHARS, one_line};
use homing::{Job, ListOptions, StateName};
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::answer::{Answer, ToolError};
use super::super::blocking::blocking;
use super::super::documents::{JobDocument, documents};
use super::super::request::Request;
use super::{define, read_only};
use crate::render::summary;

/// Few, because some clients show their model the whole document.
const DEFAULT_LIMIT: u32 = 10;
const MAX_LIMIT: u32 = 50;

/// Reserved for the lines below the jobs, in characters.
const RESERVED_CHARS: usize = 200;

/// The jobs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Only jobs in this state.
    #[serde(default)]
    state: Option<State>,
    /// At most this many of the newest jobs. Default: 10.
    #[serde(default)]
    #[schemars(range(min = 1, max = MAX_LIMIT))]
    limit: Option<u32>,
    /// Jobs of all sessions; only if the server was started with --all-sessions. Default: false.
    #[serde(default)]
    all_sessions: bool,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum State {
    Starting,
    Running,
    Finished,
}

#[derive(Serialize, JsonSchema)]
struct Document {
    /// Text for the model: one line for each job.
    text: String,
    /// Whether there are more jobs than listed.
    more: bool,
    /// The jobs, newest first.
    jobs: Vec<JobDocument>,
}

pub(super) fn tool() -> Tool {
    define::<Arguments, Document>(
        "list_jobs",
        "List jobs",
        "List the jobs of this session, newest first, one line each. Do not use it to wait: use wait_for_jobs.",
        read_only(),
    )
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    if arguments.all_sessions && !request.sees_all {
        return Err(ToolError::arguments(
            "this server shows only the jobs of your session",
            "omit all_sessions; the user can start the server with homing mcp --all-sessions",
        ));
    }
    let limit = arguments.limit();
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
    Ok(answer(listing.jobs, listing.has_more))
}

impl Arguments {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }
}

/// The answer for these jobs. `more` says that there are further jobs.
pub(super) fn answer(jobs: Vec<Job>, more: bool) -> Answer {
    let room = (RESULT_LIMIT_CHARS - RESERVED_CHARS) / jobs.len().max(1);
    let mut text: String = jobs.iter().map(|job| line(job, room)).collect();
    if jobs.is_empty() && !more {
        text.push_str("no jobs to show (run_command launches one)\n");
    }
    if more {
        text.push_str(&format!("… only the newest {} are listed\n", jobs.len()));
    }
    Answer::new(text.clone(), &Document { text, more, jobs: documents(jobs) })
}

/// One line for a job, of at most `room` characters.
fn line(job: &Job, room: usize) -> String {
    let unread = if job.is_unread() { "  (result not read yet: get_result)" } else { "" };
    let room = room.saturating_sub(unread.len() + "\n".len());
    format!("{}{unread}\n", one_line(&summary(job), room))
}
