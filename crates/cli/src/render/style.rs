//! The colors of the output. anstream removes them where the terminal or the user does not want them.

use anstyle::{AnsiColor, Style};
use homing::{FollowUpState, Job, JobState, Outcome, Verdict};

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
pub(super) const TITLE: Style = Style::new().bold();

/// The meaning of a status, which determines its color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusStyle {
    /// Success.
    Good,
    /// Failure.
    Bad,
    /// Unusual: the user may have to act.
    Odd,
    /// In progress.
    Active,
    /// No special meaning.
    Plain,
    /// Unimportant.
    Quiet,
}

impl StatusStyle {
    /// The style of a job: its state and outcome.
    pub(crate) fn of_job(job: &Job) -> StatusStyle {
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

    /// The style of a follow-up state.
    pub(crate) fn of_follow_up(state: FollowUpState) -> StatusStyle {
        match state {
            FollowUpState::Pending | FollowUpState::HandedOff => StatusStyle::Odd,
            FollowUpState::Dead => StatusStyle::Bad,
            FollowUpState::Waiting | FollowUpState::Acknowledged | FollowUpState::Suppressed => {
                StatusStyle::Quiet
            }
        }
    }

    /// The style of a verdict.
    pub(super) fn of_verdict(verdict: Verdict) -> StatusStyle {
        match verdict {
            Verdict::Ok => StatusStyle::Good,
            Verdict::Note => StatusStyle::Odd,
            Verdict::Problem => StatusStyle::Bad,
        }
    }

    /// The color; `None` for the default color.
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

    /// The color as a style for anstream.
    pub(super) fn style(self) -> Style {
        self.color().map_or(Style::new(), AnsiColor::on_default)
    }
}
