//! The arguments of what only looks: `list`, `show`, `output`, `follow-ups`.

use homing::{FollowUpState, JobIdPrefix, SessionId, StateName};

use super::values::{Limit, follow_up_state, limit, state};

/// Which jobs are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only jobs of this session [default: all sessions]
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<SessionId>,
    /// Only jobs in this state
    #[arg(long, value_name = "STATE", value_parser = state())]
    pub(crate) state: Option<StateName>,
    /// At most so many, 0 for all
    #[arg(long, value_name = "N", default_value = "20", value_parser = limit)]
    pub(crate) limit: Limit,
    /// Prints an array of job documents
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which job is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Id of the job, or the beginning of it
    pub(crate) job: JobIdPrefix,
    /// Prints the job document
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which part of whose output is printed, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Id of the job, or the beginning of it
    pub(crate) job: JobIdPrefix,
    /// Goes on until the job is over
    #[arg(long)]
    pub(crate) follow: bool,
    /// Begins at this byte of the output
    #[arg(long, value_name = "OFFSET", default_value_t, hide_default_value = true)]
    pub(crate) from: u64,
    /// Begins so many bytes before the end
    #[arg(long, value_name = "BYTES", conflicts_with = "from")]
    pub(crate) tail: Option<u64>,
    /// Prints the exact bytes; without this, control codes are removed and rewritten lines shown as they last stood
    #[arg(long)]
    pub(crate) raw: bool,
    /// Prints a document with the text and the offset to go on from; with --follow, one a line
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

/// Which follow-ups are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowUpsArgs {
    /// Only those of this session [default: all sessions]
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<SessionId>,
    /// Only those in this state [default: those that are open: pending, handed_off and dead]
    #[arg(long, value_name = "STATE", value_parser = follow_up_state())]
    pub(crate) state: Option<FollowUpState>,
    /// At most so many of the newest, 0 for all
    #[arg(long, value_name = "N", default_value = "20", value_parser = limit)]
    pub(crate) limit: Limit,
    /// Prints an array of job documents
    #[arg(long)]
    pub(crate) json: bool,
}
