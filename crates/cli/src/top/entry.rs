//! One job as the view shows it: in which section it stands, why it needs attention, and the one action that helps. Pure.

use homing::core::text::flatten;
use homing::{FollowUpState, Job, NotNotified};

use crate::local_time::time_of_day;
use crate::render::{one_line, state, title};

/// The most characters of a command that a filter searches.
const MAX_SEARCHED_CHARS: usize = 1_000;

/// The beginning of some reasons, which a narrow screen leaves out.
pub(super) const NOBODY: &str = "Nobody is notified: ";

/// A part of the list. In the order of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    /// Jobs that failed and are not acknowledged, and results that no session has received.
    Attention,
    /// Jobs that have not finished.
    Running,
    /// All others.
    Finished,
}

impl Section {
    /// Every section, in the order of the screen.
    pub(super) const ALL: [Section; 3] = [Section::Attention, Section::Running, Section::Finished];

    /// The heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Section::Attention => "Needs attention",
            Section::Running => "Running",
            Section::Finished => "Finished",
        }
    }
}

/// A job in the list.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) job: Job,
    pub(super) section: Section,
    /// Why the session is not notified, as far as the configuration tells.
    pub(super) not_notified: Option<NotNotified>,
    /// What a filter searches, in lower case.
    searched: String,
}

impl Entry {
    pub(super) fn new(job: Job, not_notified: Option<NotNotified>) -> Entry {
        let command: String = job.command.to_string().chars().take(MAX_SEARCHED_CHARS).collect();
        let name = job.name.as_deref().unwrap_or_default();
        let searched =
            format!("{} {} {} {} {}", job.id, state(&job), job.session, flatten(name), flatten(&command));
        let section = section_of(&job);
        Entry { job, section, not_notified, searched: searched.to_lowercase() }
    }

    /// Whether the job matches a filter: its id, state, session, name or command contains the text, which is in lower case.
    pub(super) fn matches(&self, filter: &str) -> bool {
        self.searched.contains(filter)
    }

    /// The name of the job for questions and messages: its title and its id.
    pub(super) fn described(&self) -> String {
        format!("{} ({})", title(&self.job), self.job.id)
    }

    /// Why the job needs attention; `None` if it does not.
    pub(super) fn reason(&self) -> Option<Reason> {
        (self.section == Section::Attention).then(|| reason_of(&self.job, self.not_notified))
    }
}

/// Why a job needs attention, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) text: String,
    /// The key to press, or the command to run, and what it does.
    pub(super) action: &'static str,
}

/// The section that a job belongs to.
pub(super) fn section_of(job: &Job) -> Section {
    let Some(outcome) = job.outcome() else { return Section::Running };
    match job.follow_up.state {
        FollowUpState::Pending | FollowUpState::Dead => Section::Attention,
        // The session has received the result, but nothing confirms that the agent has read it.
        FollowUpState::HandedOff if !outcome.succeeded() => Section::Attention,
        FollowUpState::HandedOff
        | FollowUpState::Waiting
        | FollowUpState::Acknowledged
        | FollowUpState::Suppressed => Section::Finished,
    }
}

fn reason_of(job: &Job, not_notified: Option<NotNotified>) -> Reason {
    let follow_up = &job.follow_up;
    let error = follow_up.last_error.as_deref().map(one_line).filter(|error| !error.is_empty());
    let because = |text: String| match &error {
        Some(error) => format!("{text}: {error}"),
        None => text,
    };
    let (text, action) = match (follow_up.state, not_notified) {
        (FollowUpState::Dead, _) => {
            (because(format!("Not notified, given up after {}", attempts(follow_up.attempts))), "r retry")
        }
        (FollowUpState::HandedOff, _) => ("Handed off, not confirmed yet".to_owned(), "a acknowledge"),
        (_, Some(reason)) => explanation(reason),
        (_, None) if follow_up.attempts > 0 => {
            let mut text = format!("Not notified after {}", attempts(follow_up.attempts));
            if let Some(next) = follow_up.next_attempt_at {
                text += &format!(", next at {}", time_of_day(next));
            }
            (because(text), "r retry now")
        }
        (_, None) => ("Not notified yet".to_owned(), "a acknowledge"),
    };
    Reason { text, action }
}

fn attempts(count: u32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

/// Why nobody is notified, and what helps.
fn explanation(reason: NotNotified) -> (String, &'static str) {
    match reason {
        NotNotified::NoRoute => (format!("{NOBODY}no sink is configured"), "a acknowledge"),
        NotNotified::NoSinkForAgent => {
            ("The agent is not notified: its sink reaches only a person".to_owned(), "a acknowledge")
        }
        NotNotified::NoMonitor => (format!("{NOBODY}no monitor is running"), "run homing monitor"),
        NotNotified::ConfigRefused => (format!("{NOBODY}the configuration is not used"), "run homing doctor"),
        reason => (format!("{NOBODY}{reason}"), "a acknowledge"),
    }
}

/// Whether the session was notified of a finished job, in few words.
pub(super) fn notified(job: &Job) -> &'static str {
    match job.follow_up.state {
        FollowUpState::Acknowledged if job.follow_up.attempts > 0 => "notified",
        FollowUpState::Acknowledged => "acknowledged",
        FollowUpState::HandedOff => "handed off",
        FollowUpState::Suppressed => "no follow-up",
        FollowUpState::Pending | FollowUpState::Dead | FollowUpState::Waiting => "not notified",
    }
}

#[cfg(test)]
mod tests {
    use homing::core::Timestamp;
    use homing::{KilledBy, Outcome};

    use super::*;
    use crate::top::testing::{finished, running};

    fn entry(outcome: Outcome, state: FollowUpState) -> Entry {
        let mut job = finished("3f9c0a1b2c4d", outcome);
        job.follow_up.state = state;
        Entry::new(job, None)
    }

    const FAILED: Outcome = Outcome::Exited { exit_code: 3 };
    const SUCCEEDED: Outcome = Outcome::Exited { exit_code: 0 };

    #[test]
    fn jobs_are_in_the_section_that_their_outcome_and_follow_up_say() {
        assert_eq!(section_of(&running("3f9c0a1b2c4d")), Section::Running);
        for (outcome, state, section) in [
            (FAILED, FollowUpState::Pending, Section::Attention),
            (FAILED, FollowUpState::HandedOff, Section::Attention),
            (FAILED, FollowUpState::Dead, Section::Attention),
            (FAILED, FollowUpState::Acknowledged, Section::Finished),
            (SUCCEEDED, FollowUpState::Pending, Section::Attention),
            (SUCCEEDED, FollowUpState::Dead, Section::Attention),
            (SUCCEEDED, FollowUpState::HandedOff, Section::Finished),
            (Outcome::Killed { by: KilledBy::Session }, FollowUpState::Suppressed, Section::Finished),
        ] {
            assert_eq!(entry(outcome.clone(), state).section, section, "{outcome} {state}");
        }
    }

    #[test]
    fn every_reason_names_the_action_that_helps() {
        let mut entry = entry(FAILED, FollowUpState::Pending);
        let reason = |entry: &Entry| {
            let reason = entry.reason().expect("it needs attention");
            format!("{}; {}", reason.text, reason.action)
        };
        assert_eq!(reason(&entry), "Not notified yet; a acknowledge");
        entry.not_notified = Some(NotNotified::NoRoute);
        assert_eq!(reason(&entry), "Nobody is notified: no sink is configured; a acknowledge");
        entry.not_notified = Some(NotNotified::NoMonitor);
        assert_eq!(reason(&entry), "Nobody is notified: no monitor is running; run homing monitor");
        entry.not_notified = None;
        entry.job.follow_up.attempts = 1;
        entry.job.follow_up.last_error = Some("exit status 1\n\x1b[31mhoming: acknowledged".to_owned());
        assert_eq!(reason(&entry), "Not notified after 1 attempt: exit status 1 …; r retry now");
        entry.job.follow_up.next_attempt_at = Some(Timestamp::from_unix_millis(0));
        let next = time_of_day(Timestamp::from_unix_millis(0));
        assert_eq!(
            reason(&entry),
            format!("Not notified after 1 attempt, next at {next}: exit status 1 …; r retry now")
        );
        entry.job.follow_up.state = FollowUpState::Dead;
        entry.job.follow_up.attempts = 5;
        assert_eq!(reason(&entry), "Not notified, given up after 5 attempts: exit status 1 …; r retry");
        entry.job.follow_up.state = FollowUpState::HandedOff;
        assert_eq!(reason(&entry), "Handed off, not confirmed yet; a acknowledge");
    }

    #[test]
    fn a_filter_searches_id_state_session_name_and_command() {
        let entry = entry(FAILED, FollowUpState::Pending);
        for text in ["3f9c", "exit 3", "chat-1", "nightly", "make"] {
            assert!(entry.matches(text), "{text}");
        }
        assert!(!entry.matches("other"));
    }
}
