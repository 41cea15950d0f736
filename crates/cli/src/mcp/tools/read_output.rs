//! `read_output`: what a job has printed so far.

use homing::core::text::{RESULT_LIMIT_CHARS, grouped};
use homing::{Homing, Job, Origin, frame_untrusted};
use regex_lite::Regex;
use serde::Deserialize;

use super::super::advice::{Moment, advice, wake};
use super::super::answer::{Answer, TEXT_LIMIT_CHARS, ToolError};
use super::super::excerpt::{Excerpt, ExcerptRequest, excerpt};
use super::super::facts::{Facts, JobFacts};
use super::super::request::Request;
use super::super::results::last_output;
use super::super::words::{RunningLine, advice_about_lost, finished_line, running_line};
use crate::server::blocking;

const DEFAULT_CHARS: usize = 8_000;
const MAX_CHARS: usize = RESULT_LIMIT_CHARS;
const MAX_LINES: usize = 1_000;

/// Reserved for the frame and the lines around it, in characters.
const RESERVED_CHARS: usize = 1_800;

/// The job and the part of its output.
#[derive(Deserialize)]
pub(super) struct Arguments {
    #[serde(default)]
    job_ids: Vec<String>,
    from_byte: Option<u64>,
    tail_lines: Option<usize>,
    filter: Option<String>,
    max_chars: Option<usize>,
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let (job_id, excerpt_request) = arguments.into_request()?;
    let scope = request.job_scope();
    let (homing, reader) = (request.homing.clone(), request.origin.clone());
    blocking(move || {
        let job = scope.find(&job_id)?;
        let read = excerpt(&homing, &job, &excerpt_request)?;
        answer(&homing, &job, &excerpt_request, &read, &reader)
    })
    .await
}

impl Arguments {
    fn into_request(self) -> Result<(String, ExcerptRequest), ToolError> {
        let max_chars = self.max_chars.unwrap_or(DEFAULT_CHARS);
        if !(100..=MAX_CHARS).contains(&max_chars) {
            let hint = format!("give 100 to {MAX_CHARS}");
            return Err(ToolError::arguments(format!("max_chars is {max_chars}"), hint));
        }
        if let Some(lines) = self.tail_lines.filter(|lines| !(1..=MAX_LINES).contains(lines)) {
            let hint = format!("give 1 to {MAX_LINES}");
            return Err(ToolError::arguments(format!("tail_lines is {lines}"), hint));
        }
        let filter = self.filter.map(|pattern| Regex::new(&pattern)).transpose().map_err(|error| {
            let hint = "backslashes are doubled in JSON; look-around and back-references are not supported";
            ToolError::arguments(format!("filter is not a regular expression: {error}"), hint)
        })?;
        let Ok([job_id]) = <[String; 1]>::try_from(self.job_ids) else {
            return Err(ToolError::arguments("read_output reads one job", "give one job_id"));
        };
        let from = self.from_byte.unwrap_or(0);
        let max_chars = max_chars.min(TEXT_LIMIT_CHARS - RESERVED_CHARS);
        Ok((job_id, ExcerptRequest { from, tail_lines: self.tail_lines, filter, max_chars }))
    }
}

fn answer(
    homing: &Homing,
    job: &Job,
    request: &ExcerptRequest,
    read: &Excerpt,
    reader: &Origin,
) -> Result<Answer, ToolError> {
    let id = job.id;
    let first_line = finished_line(job, false).unwrap_or_else(|| {
        running_line(job, RunningLine { last_output: last_output(homing, job), ..RunningLine::default() })
    });
    let is_new = !read.text.is_empty();
    let mut text = first_line;
    if is_new {
        let (first, last, total) = (grouped(read.first), grouped(read.last), grouped(read.total_bytes));
        let matching = if request.filter.is_some() { "matching lines of " } else { "" };
        text += &frame_untrusted(&read.text, &format!("{matching}bytes {first} to {last} of {total}"))?;
    } else {
        text += &match (&request.filter, request.from) {
            (Some(_), _) => "No line matches.\n".to_owned(),
            (None, 0) => "No output.\n".to_owned(),
            (None, from) => format!("No output since byte {from}.\n"),
        };
    }
    text += &match (job.outcome(), read.more) {
        (_, true) => format!("More: read_output {{\"job_id\":\"{id}\",\"from_byte\":{}}}\n", read.next),
        (Some(_), false) => format!("End of the output. {}\n", after_end(job)),
        (None, false) => {
            let jobs = std::slice::from_ref(job);
            let advice = advice(wake(homing, jobs, reader), Moment::Running, jobs);
            let again = if is_new {
                format!("next: {}\n", read.next)
            } else {
                "Do not read again to wait. ".to_owned()
            };
            again + &advice
        }
    };
    Ok(Answer::new(text, &Facts::Job(JobFacts::new(job, read.next))))
}

/// What to do when the output of a finished job was read to its end.
fn after_end(job: &Job) -> String {
    match advice_about_lost(job).trim_end() {
        "" if job.is_unread() => {
            format!("The result counts as read after wait_for_jobs {{\"job_ids\":[\"{}\"]}}.", job.id)
        }
        "" => "Nothing follows.".to_owned(),
        advice => advice.to_owned(),
    }
}
