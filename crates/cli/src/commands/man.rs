//! `homing man`: the manual pages.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::{ManArgs, definition};
use crate::exit::Failure;

/// Prints the first page, or writes one for each command to a directory.
pub(super) fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    if let Some(directory) = &args.directory {
        clap_mangen::generate_to(definition(), directory).map_err(Failure::Write)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(definition()).render(&mut page)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&page)?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}
