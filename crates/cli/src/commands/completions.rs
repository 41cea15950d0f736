//! `homing completions`: what a shell needs to complete our words.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::{CompletionsArgs, definition};
use crate::exit::Failure;

/// Prints the completions for a shell.
pub(super) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    // The generator panics where it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "homing", &mut script);
    let mut stdout = io::stdout().lock();
    stdout.write_all(&script)?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}
