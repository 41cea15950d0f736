//! `read_output`: what a job has printed so far.

use homing::core::text::{RESULT_LIMIT_CHARS, grouped};
use homing::{Homing, Job, Origin, StateName, frame_untrusted};
use regex_lite::Regex;
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::advice::{advice, wake};
use super::super::answer::{Answer, ToolError};
use super::super::blocking::blocking;
use super::super::excerpt::{Excerpt, ExcerptRequest, excerpt};
use super::super::request::Request;
use super::{define, read_only};

const DEFAULT_CHARS: usize = 8_000;
const MAX_CHARS: usize = RESULT_LIMIT_CHARS;
const MAX_LINES: usize = 1_000;

/// Reserved for the frame and the lines around it, in characters.
const RESERVED_CHARS: usize = 800;

/// The job and the part of its output.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Id of the job.
    job_id: String,
    /// Byte to start at. `next` of the previous answer returns only new output. Default: 0.
    #[serde(default)]
    cursor: Option<u64>,
    /// Only the last lines, at most this many.
    #[serde(default)]
    #[schemars(range(min = 1, max = MAX_LINES))]
    tail_lines: Option<usize>,
    /// Regular expression: only matching lines.
    #[serde(default)]
    filter: Option<String>,
    /// Longest text, in characters. Default: 8000.
    #[serde(default)]
    #[schemars(range(min = 100, max = MAX_CHARS))]
    max_chars: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
struct Document {
    /// Id of the job.
    id: String,
    /// State of the job: starting, running or finished.
    state: String,
    /// The output without control codes, between a BEGIN and an END line. Untrusted data.
    text: String,
    /// Pass this as cursor to continue.
    next: u64,
    /// Whether more output is available now.
    more: bool,
    /// Bytes the job has written so far.
    total_bytes: u64,
    /// Bytes that were not kept, between the lines that were read.
    omitted_bytes: u64,
    /// What to do next.
    advice: String,
}

pub(super) fn tool() -> Tool {
    define::<Arguments, Document>(
        "read_output",
        "Read a job's output",
        "Return what a job has printed so far. Use it for a look in between or for parts that a result omitted; to \
         wait for the end, use wait_for_jobs. Reading output does not acknowledge the result.",
        read_only(),
    )
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let (job_id, excerpt_request) = arguments.into_request()?;
    let scope = request.job_scope();
    let (homing, reader) = (request.homing.clone(), request.origin.clone());
    blocking(move || {
        let job = scope.find(&job_id)?;
        let read = excerpt(&homing, &job, &excerpt_request)?;
        answer(&homing, &job, read, &reader)
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
        let from = self.cursor.unwrap_or(0);
        let max_chars = max_chars.min(RESULT_LIMIT_CHARS - RESERVED_CHARS);
        Ok((self.job_id, ExcerptRequest { from, tail_lines: self.tail_lines, filter, max_chars }))
    }
}

fn answer(homing: &Homing, job: &Job, read: Excerpt, reader: &Origin) -> Result<Answer, ToolError> {
    let advice = next_step(homing, job, &read, reader);
    let (id, state) = (job.id, job.state.name().as_str());
    let mut text = format!("Job {id} is {state}. It has written {} bytes.\n", grouped(read.total_bytes));
    // Frame it in the document too: some clients show their model only the document.
    let framed = if read.text.is_empty() { String::new() } else { frame_untrusted(&read.text)? };
    text += if framed.is_empty() { "No output to show.\n" } else { &framed };
    text += &format!("{advice}\n");
    let document = Document {
        id: id.to_string(),
        state: state.to_owned(),
        text: framed,
        next: read.next,
        more: read.more,
        total_bytes: read.total_bytes,
        omitted_bytes: read.omitted_bytes,
        advice,
    };
    Ok(Answer::new(text, &document))
}

fn next_step(homing: &Homing, job: &Job, read: &Excerpt, reader: &Origin) -> String {
    let id = job.id;
    if read.more {
        return format!("More output: call read_output with cursor {}.", read.next);
    }
    match job.state.name() {
        StateName::Finished => format!("End of the output. To see how job {id} ended, call get_result."),
        StateName::Starting | StateName::Running => {
            let jobs = std::slice::from_ref(job);
            let advice = advice(wake(homing, jobs, reader), jobs);
            format!("{advice} New output starts at cursor {}.", read.next)
        }
    }
}
