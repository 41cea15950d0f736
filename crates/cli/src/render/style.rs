//! The few colours there are. Streams of anstream remove them where nobody wants them.

use anstyle::{AnsiColor, Style};
use homing::{FollowUpState, Job, JobState, Outcome, Verdict};

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
pub(super) const TITLE: Style = Style::new().bold();

/// How something is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusStyle {
    /// As it should be.
    Good,
    /// As it should not be.
    Bad,
    /// Worth a look.
    Odd,
    /// Going on now.
    Active,
    /// Nothing about it.
    Plain,
    /// Of no importance.
    Quiet,
}

impl StatusStyle {
    /// How far a job is, and how it ended.
    pub(super) fn of_job(job: &Job) -> StatusStyle {
        match &job.state {
            JobState::Starting | JobState::Running(_) => StatusStyle::Active,
            JobState::Finished(finished) => match &finished.outcome {
                Outcome::Exited { exit_code: 0 } => StatusStyle::Good,
                Outcome::Exited { .. } | Outcome::Signaled { .. } | Outcome::FailedToStart { .. } => {
                    StatusStyle::Bad
                }
                Outcome::TimedOut | Outcome::Killed { .. } | Outcome::Lost { .. } => StatusStyle::Odd,
            },
        }
    }

    /// Where a follow-up stands.
    pub(super) fn of_follow_up(state: FollowUpState) -> StatusStyle {
        match state {
            FollowUpState::Pending | FollowUpState::HandedOff => StatusStyle::Odd,
            FollowUpState::Dead => StatusStyle::Bad,
            FollowUpState::Waiting | FollowUpState::Acknowledged | FollowUpState::Suppressed => {
                StatusStyle::Quiet
            }
        }
    }

    /// What a check found.
    pub(super) fn of_verdict(verdict: Verdict) -> StatusStyle {
        match verdict {
            Verdict::Ok => StatusStyle::Good,
            Verdict::Note => StatusStyle::Odd,
            Verdict::Problem => StatusStyle::Bad,
        }
    }

    /// How it looks; `None` where it looks like everything else.
    pub(super) fn color(self) -> Option<AnsiColor> {
        match self {
            StatusStyle::Good => Some(AnsiColor::Green),
            StatusStyle::Bad => Some(AnsiColor::Red),
            StatusStyle::Odd => Some(AnsiColor::Yellow),
            StatusStyle::Active => Some(AnsiColor::Cyan),
            StatusStyle::Quiet => Some(AnsiColor::BrightBlack),
            StatusStyle::Plain => None,
        }
    }

    /// The same for a stream.
    pub(super) fn style(self) -> Style {
        self.color().map_or(Style::new(), AnsiColor::on_default)
    }
}
