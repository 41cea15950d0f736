//! The few colours there are. Streams of anstream remove them where nobody wants them.

use anstyle::{AnsiColor, Style};
use homing::{FollowUpState, Job, JobState, Outcome, Verdict};

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
pub(super) const TITLE: Style = Style::new().bold();

/// How something is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
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

impl Tone {
    /// How far a job is, and how it ended.
    pub(super) fn of_job(job: &Job) -> Tone {
        match &job.state {
            JobState::Starting | JobState::Running(_) => Tone::Active,
            JobState::Finished(finished) => match &finished.outcome {
                Outcome::Exited { exit_code: 0 } => Tone::Good,
                Outcome::Exited { .. } | Outcome::Signaled { .. } | Outcome::FailedToStart { .. } => {
                    Tone::Bad
                }
                Outcome::TimedOut | Outcome::Killed { .. } | Outcome::Lost { .. } => Tone::Odd,
            },
        }
    }

    /// Where a follow-up stands.
    pub(super) fn of_follow_up(state: FollowUpState) -> Tone {
        match state {
            FollowUpState::Pending | FollowUpState::HandedOff => Tone::Odd,
            FollowUpState::Dead => Tone::Bad,
            FollowUpState::Waiting | FollowUpState::Acknowledged | FollowUpState::Suppressed => Tone::Quiet,
        }
    }

    /// What a check found.
    pub(super) fn of_verdict(verdict: Verdict) -> Tone {
        match verdict {
            Verdict::Ok => Tone::Good,
            Verdict::Note => Tone::Odd,
            Verdict::Problem => Tone::Bad,
        }
    }

    /// How it looks; `None` where it looks like everything else.
    pub(super) fn color(self) -> Option<AnsiColor> {
        match self {
            Tone::Good => Some(AnsiColor::Green),
            Tone::Bad => Some(AnsiColor::Red),
            Tone::Odd => Some(AnsiColor::Yellow),
            Tone::Active => Some(AnsiColor::Cyan),
            Tone::Quiet => Some(AnsiColor::BrightBlack),
            Tone::Plain => None,
        }
    }

    /// The same for a stream.
    pub(super) fn style(self) -> Style {
        self.color().map_or(Style::new(), AnsiColor::on_default)
    }
}
