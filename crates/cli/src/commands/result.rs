//! `homing result`: what the agent reads about a job.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{Job, JobId, JobIdPrefix};
use serde::Serialize;

use super::acknowledge_read::acknowledge_read;
use super::open::open_for;
use crate::exit::{Failure, NOT_FINISHED};
use crate::render::print_json;
use crate::values::Caller;

/// What the help of the command shows last.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing result 3f9c
  homing result 3f9c --json

A job that is over counts as told to its session (--session, else $HOMING_SESSION, else what the \
agent harness exports, else \"default\"). Exit status: 75 when the job is not over yet.";

/// Whose result is read.
#[derive(Debug, clap::Args)]
pub(crate) struct ResultArgs {
    /// Id of the job, or the beginning of it
    job: JobIdPrefix,
    #[command(flatten)]
    caller: Caller,
    /// Prints a document with the text and the job
    #[arg(long)]
    pub(crate) json: bool,
}

/// A result for programs.
#[derive(Serialize)]
struct ResultDocument<'a> {
    id: JobId,
    text: &'a str,
    job: &'a Job,
}

/// Prints a job's result.
pub(crate) fn result(args: &ResultArgs) -> Result<ExitCode, Failure> {
    let reader = args.caller.session()?;
    let homing = open_for(std::slice::from_ref(&args.job))?;
    let id = homing.resolve(&args.job)?;
    // The job before its text: what is acknowledged then has been told.
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
