//! The arguments of `setup`.

use crate::setup::{Action, Harness, Scope};

/// Which harness, and what is done.
#[derive(Debug, clap::Args)]
pub(crate) struct SetupArgs {
    /// The agent harness
    #[arg(value_enum)]
    pub(crate) harness: Harness,
    /// Makes the changes; without this they are only shown
    #[arg(long, conflicts_with = "undo")]
    write: bool,
    /// Takes back what was added, and leaves what others have changed since
    #[arg(long)]
    undo: bool,
    /// For whom
    #[arg(long, value_enum, default_value_t)]
    pub(crate) scope: Scope,
    /// Prints a document with every file and what changes in it
    #[arg(long)]
    pub(crate) json: bool,
}

impl SetupArgs {
    /// What is to be done.
    pub(crate) fn action(&self) -> Action {
        match (self.write, self.undo) {
            (_, true) => Action::Undo,
            (true, false) => Action::Write,
            (false, false) => Action::Show,
        }
    }
}
