//! `homing result`: prints the result of a job as the agent receives it.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{Job, JobId};
use serde::Serialize;

use super::acknowledge_read::acknowledge_read;
use crate::exit::{Failure, NOT_FINISHED};
use crate::open::open_for;
use crate::render::print_json;
use crate::values::{Caller, OneJob};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing result 3f9c
  homing result last --json

Acknowledges the result if the job has finished and belongs to the session: --session, else $HOMING_SESSION, \
else what the agent harness exports, else \"default\". Exit status: 75 if the job has not finished.";

/// Which result to print.
#[derive(Debug, clap::Args)]
pub(crate) struct ResultArgs {
    #[command(flatten)]
    job: OneJob,
    #[command(flatten)]
    caller: Caller,
    /// Print a document with the text and the job
    #[arg(long)]
    pub(crate) json: bool,
}

/// A result as JSON.
#[derive(Serialize)]
struct ResultDocument<'a> {
    id: JobId,
    text: &'a str,
    job: &'a Job,
}

/// Prints the result of a job.
pub(crate) fn result(args: &ResultArgs) -> Result<ExitCode, Failure> {
    let reader = args.caller.session()?;
    let homing = open_for(&args.job.job, &reader)?;
    let id = homing.find(&args.job.job, &reader)?;
    // Read the job before its text: only a result that the text contains may be acknowledged.
    let job = homing.get(id)?;
    let text = homing.result_text(id)?;
    if args.json {
        print_json(&ResultDocument { id, text: &text, job: &job })?;
    } else {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
    }
    acknowledge_read(&homing, &reader, std::slice::from_ref(&job));
    Ok(ExitCode::from(if job.outcome().is_some() { 0 } else { NOT_FINISHED }))
}
