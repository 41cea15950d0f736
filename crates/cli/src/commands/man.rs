//! `homing man`: prints or writes the manual pages.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::exit::Failure;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing man | man -l -
  homing man ~/.local/share/man/man1";

/// Where to write the pages.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Directory for one page per command [default: print the main page]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints the main page, or writes one page per command to a directory.
pub(crate) fn man(args: &ManArgs, definition: clap::Command) -> Result<ExitCode, Failure> {
    if let Some(directory) = &args.directory {
        clap_mangen::generate_to(definition, directory).map_err(Failure::Write)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(definition).render(&mut page)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&page)?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}
