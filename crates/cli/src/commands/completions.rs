//! `homing completions`: prints the completion script for a shell.

use std::io::{self, Write};
use std::process::ExitCode;

use clap_complete::Shell;

use crate::exit::Failure;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing completions bash > ~/.local/share/bash-completion/completions/homing
  homing completions zsh > ~/.zfunc/_homing
  homing completions fish > ~/.config/fish/completions/homing.fish";

/// Which shell to complete in.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    shell: Shell,
}

/// Prints the completion script for a shell.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut definition: clap::Command,
) -> Result<ExitCode, Failure> {
    // The generator panics on write errors, so let it write to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition, "homing", &mut script);
    let mut stdout = io::stdout().lock();
    stdout.write_all(&script)?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}
