//! `homing top`: the jobs on the terminal, up to date, with keys that act on them.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::exit::Failure;
use crate::open::open;
use crate::top;
use crate::values::ListedSessions;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing top
  homing top --session chat-1

Shows jobs that need attention with the reason and what helps, running jobs with their age against their limit, and \
finished jobs. Keys show the output of a job, kill it, and acknowledge, retry or drop its result; press ? for help. \
Inside an agent, shows the jobs of its session; elsewhere, those of all sessions.";

/// Which jobs to show.
#[derive(Debug, clap::Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    sessions: ListedSessions,
}

/// Shows jobs until the user quits.
pub(crate) fn top(args: &TopArgs) -> Result<ExitCode, Failure> {
    let session = args.sessions.session()?;
    for (name, is_terminal) in [("input", io::stdin().is_terminal()), ("output", io::stdout().is_terminal())]
    {
        if !is_terminal {
            return Err(Failure::Usage {
                code: "not_a_terminal",
                message: format!(
                    "top draws on a terminal and reads keys, and standard {name} is not a terminal"
                ),
                hint: Some(
                    "use homing list --watch for a list that needs no keys, or homing list".to_owned(),
                ),
            });
        }
    }
    top::run(&open()?, session)
}
