//! `homing setup-host`: copies this program to the machine of an executor.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::exit::Failure;
use crate::open::open;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing setup-host box
  homing doctor --on box                          then checks it

Copies this program to ~/.cache/homing/ there, and checks that it runs. The machine must be of the same kind as this \
one; otherwise install homing there, and name it with program = \"/path/to/homing\" in [executors.NAME].";

/// Which machine to set up.
#[derive(Debug, clap::Args)]
pub(crate) struct SetupHostArgs {
    /// The executor of the configuration
    #[arg(value_name = "NAME")]
    name: String,
}

/// Copies this program to an executor.
pub(crate) fn setup_host(args: &SetupHostArgs) -> Result<ExitCode, Failure> {
    let copied = open()?.set_up_executor(&args.name)?;
    let what = if copied.is_new { "copied to" } else { "already at" };
    writeln!(io::stdout(), "{} {what} {}", copied.version, copied.path)?;
    Ok(ExitCode::SUCCESS)
}
