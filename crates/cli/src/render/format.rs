//! Formats properties of jobs as short texts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use homing::core::text::{flatten, is_line_break};
use homing::core::{LeftoverFate, Timestamp, format_duration};
use homing::{Job, JobState, Outcome};

/// The current wall-clock time.
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The state of a job, in one or two words that are easy to search for.
pub(super) fn state(job: &Job) -> String {
    match &job.state {
        JobState::Starting => "starting".to_owned(),
        JobState::Running(_) => "running".to_owned(),
        JobState::Finished(finished) => match &finished.outcome {
            Outcome::Exited { exit_code } => format!("exit {exit_code}"),
            Outcome::Signaled { signal } => signal.to_string(),
            Outcome::TimedOut => "timed out".to_owned(),
            Outcome::Killed { .. } => "killed".to_owned(),
            Outcome::FailedToStart { .. } => "failed to start".to_owned(),
            Outcome::Lost { .. } => "lost".to_owned(),
        },
    }
}

/// How long a job has been running, or ran.
pub(super) fn duration(job: &Job, now: Timestamp) -> Option<Duration> {
    match &job.state {
        JobState::Starting => None,
        JobState::Running(started) => Some(now.saturating_since(started.started_at)),
        JobState::Finished(finished) => finished.duration,
    }
}

/// The state of a job with outcome and duration: `exit code 1 after 1m 12s`.
pub(super) fn progress(job: &Job, now: Timestamp) -> String {
    let words = match &job.state {
        JobState::Starting => "starting".to_owned(),
        JobState::Running(_) => "still running".to_owned(),
        JobState::Finished(finished) => one_line(&finished.outcome.to_string()),
    };
    match duration(job, now) {
        Some(duration) => format!("{words} after {}", format_duration(duration)),
        None => words,
    }
}

/// One job on one line: id, state, title.
pub(crate) fn summary(job: &Job) -> String {
    format!("{}  {}  {}", job.id, progress(job, now()), title(job))
}

/// One line for a job that had finished before `kill` was called.
pub(crate) fn already_finished(job: &Job) -> String {
    format!("{}  already finished: {}  {}", job.id, progress(job, now()), title(job))
}

/// One follow-up on one line: id, state, title of the job.
pub(crate) fn follow_up_summary(job: &Job) -> String {
    format!("{}  follow-up {}  {}", job.id, job.follow_up.state, title(job))
}

/// The title of a job: its name, else its command, on one line.
pub(super) fn title(job: &Job) -> String {
    one_line(&job.name.clone().unwrap_or_else(|| job.command.to_string()))
}

/// Maximum length of a one-line text, in characters.
const MAX_LINE_CHARS: usize = 200;

/// The first line of a text that is not blank, without control and invisible characters. Ends with `…` if text is
/// omitted.
pub(super) fn one_line(text: &str) -> String {
    let mut lines = text.split(is_line_break).map(flatten).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let shown: String = first.chars().take(MAX_LINE_CHARS).collect();
    if shown.len() < first.len() || lines.next().is_some() { shown + " …" } else { shown }
}

/// A text with all lines but the first indented, so that no quoted line looks like a message of homing.
pub(super) fn indented(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut lines = text.trim_end().split(is_line_break);
    let mut indented = flatten(lines.next().unwrap_or_default());
    lines.for_each(|line| indented += &format!("\n    {}", aligned(line)));
    indented
}

/// One line with its leading blanks kept, so that carets of error messages stay below the text they point at.
pub(super) fn aligned(line: &str) -> String {
    let blanks = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    blanks.replace('\t', "    ") + &flatten(line)
}

/// The time since `then`, in one unit: `3m ago`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", in_one_unit(now.saturating_since(then)))
}

/// The time until `then`: `in 3m`, or `now`.
pub(super) fn ahead(then: Timestamp, now: Timestamp) -> String {
    match then.saturating_since(now) {
        Duration::ZERO => "now".to_owned(),
        duration => format!("in {}", in_one_unit(duration)),
    }
}

fn in_one_unit(duration: Duration) -> String {
    let text = format_duration(Duration::from_secs(duration.as_secs()));
    match text.split_once(' ') {
        Some((large, _)) => large.to_owned(),
        None if duration.as_secs() == 0 => "0s".to_owned(),
        None => text,
    }
}

/// The processes that a job left behind, and their fate; `None` if there were none.
pub(crate) fn leftover_text(job: &Job) -> Option<String> {
    let finished = job.state.finished().filter(|finished| !finished.leftovers.is_empty())?;
    let mut words: Vec<String> = finished
        .leftovers
        .iter()
        .map(|leftover| {
            let fate = match leftover.fate {
                LeftoverFate::Ended => "ended",
                LeftoverFate::Kept => "left running",
                LeftoverFate::Survived => "could not be killed",
                LeftoverFate::Spared => "supervises another job",
            };
            format!("{} (pid {}, {fate})", one_line(&leftover.name), leftover.pid)
        })
        .collect();
    if finished.leftovers_omitted > 0 {
        words.push(format!("and {} more", finished.leftovers_omitted));
    }
    Some(words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_short_and_has_no_control_characters() {
        assert_eq!(one_line("make\tall"), "make all");
        assert_eq!(one_line("\n  \x1b[31mcd /src\x1b[0m\n\nmake\n"), "cd /src …");
        assert_eq!(one_line("a\u{202e}b\u{2028}Job c is running"), "ab …");
        assert_eq!(one_line(&"x".repeat(1_000)), "x".repeat(200) + " …");
    }

    #[test]
    fn only_the_first_line_is_not_indented() {
        assert_eq!(indented("no\n  key = 1\n  ^\n"), "no\n      key = 1\n      ^");
        assert_eq!(
            indented("cannot run x\rhoming: note: y\u{2028}z"),
            "cannot run x\n    homing: note: y\n    z"
        );
    }

    #[test]
    fn relative_times_have_one_unit() {
        let at = |seconds: i64| Timestamp::from_unix_millis(seconds * 1_000);
        assert_eq!(ago(at(0), at(0)), "0s ago");
        assert_eq!(ago(at(0), at(59)), "59s ago");
        assert_eq!(ago(at(0), at(3_725)), "1h ago");
        assert_eq!(ago(at(100), at(0)), "0s ago");
        assert_eq!(ahead(at(90), at(0)), "in 1m");
        assert_eq!(ahead(at(0), at(90)), "now");
    }
}
