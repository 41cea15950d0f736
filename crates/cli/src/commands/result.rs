//! `homing result`: what the agent reads about a job.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{Job, JobId};
use serde::Serialize;

use super::open::open_for;
use super::read::acknowledge_read;
use crate::args::ResultArgs;
use crate::exit::{Failure, NOT_FINISHED};
use crate::render::print_json;

/// A result for programs.
#[derive(Serialize)]
struct ResultDocument<'a> {
    id: JobId,
    text: &'a str,
    job: &'a Job,
}

/// Prints a job's result.
pub(super) fn result(args: &ResultArgs) -> Result<ExitCode, Failure> {
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
