//! JSON on standard output: one document per line.

use std::io::{self, Write};

use homing::Job;
use serde::Serialize;

use crate::exit::Failure;

/// Prints one document.
pub(crate) fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(document).map_err(io::Error::from)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}

/// Prints a single job as a document, unless `as_array`, and several as an array.
pub(crate) fn print_one_or_all(jobs: &[Job], as_array: bool) -> Result<(), Failure> {
    match jobs {
        [job] if !as_array => print_json(job),
        jobs => print_json(&jobs),
    }
}
