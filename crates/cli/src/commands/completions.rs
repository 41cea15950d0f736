//! `homing completions`: prints the script that makes a shell ask this program for completions.

use std::io::{self, Write};
use std::process::ExitCode;

use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::exit::Failure;

/// Set by the scripts when a shell asks for completions. Names the shell.
pub(crate) const COMPLETE_VARIABLE: &str = "HOMING_COMPLETE";

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  echo 'source <(homing completions bash)' >> ~/.bashrc
  echo 'source <(homing completions zsh)' >> ~/.zshrc
  echo 'homing completions fish | source' >> ~/.config/fish/config.fish

The script asks homing for commands, options, job ids, names and sessions. Load it in each shell as above: a stored \
script may not fit a later version.";

/// Which shell to complete in.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    shell: Shell,
}

/// Prints the completion script for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let shells = Shells::builtins();
    let name = args.shell.to_string();
    let completer = shells.completer(&name).expect("every shell has a script");
    let mut script = Vec::new();
    completer.write_registration(COMPLETE_VARIABLE, "homing", "homing", "homing", &mut script)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&script)?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}
