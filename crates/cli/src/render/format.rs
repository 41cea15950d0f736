//! Facts about jobs in a few words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use homing::core::text::{flatten, is_line_break};
use homing::core::{LeftoverFate, Timestamp, format_duration};
use homing::{Job, JobState, Outcome};

/// The time on the wall.
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// How far a job is, in one or two words that are easy to search for.
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

/// How long a job has run, or ran.
pub(super) fn duration(job: &Job, now: Timestamp) -> Option<Duration> {
    match &job.state {
        JobState::Starting => None,
        JobState::Running(started) => Some(now.saturating_since(started.started_at)),
        JobState::Finished(finished) => finished.duration,
    }
}

/// How far a job is, with how it ended and how long it took: `exit code 1 after 1m 12s`.
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

/// One job in one line: id, how far it is, what it is.
pub(crate) fn summary(job: &Job) -> String {
    format!("{}  {}  {}", job.id, progress(job, now()), title(job))
}

/// The same of a job that was over before anybody asked for its end.
pub(crate) fn already_finished(job: &Job) -> String {
    format!("{}  already over: {}  {}", job.id, progress(job, now()), title(job))
}

/// One follow-up in one line: id, where it stands, what the job is.
pub(crate) fn follow_up_summary(job: &Job) -> String {
    format!("{}  follow-up {}  {}", job.id, job.follow_up.state, title(job))
}

/// What a person knows a job by: its name, else its command, in one line.
pub(super) fn title(job: &Job) -> String {
    one_line(&job.name.clone().unwrap_or_else(|| job.command.to_string()))
}

/// Longest text in one line, in characters.
const LINE_LIMIT: usize = 200;

/// The first line of a text that is not blank, without control and invisible characters; where there is more, it says so.
pub(super) fn one_line(text: &str) -> String {
    let mut lines = text.split(is_line_break).map(flatten).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let shown: String = first.chars().take(LINE_LIMIT).collect();
    if shown.len() < first.len() || lines.next().is_some() { shown + " …" } else { shown }
}

/// A text of several lines, of which all but the first are indented: none of them looks like one of our own.
pub(crate) fn indented(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut lines = text.trim_end().split(is_line_break);
    let mut indented = flatten(lines.next().unwrap_or_default());
    lines.for_each(|line| indented += &format!("\n    {}", aligned(line)));
    indented
}

/// One of several lines, with the blanks that it begins with: what points at a place in the line above stays below it.
pub(super) fn aligned(line: &str) -> String {
    let blanks = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    blanks.replace('\t', "    ") + &flatten(line)
}

/// How long ago something was, in one unit: `3m ago`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", in_one_unit(now.saturating_since(then)))
}

/// How far ahead something is: `in 3m`, or `now`.
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

/// What became of the processes that a job left behind; `None` where there were none.
pub(crate) fn leftover_text(job: &Job) -> Option<String> {
    let finished = job.state.finished().filter(|finished| !finished.leftovers.is_empty())?;
    let mut words: Vec<String> = finished
        .leftovers
        .iter()
        .map(|leftover| {
            let fate = match leftover.fate {
                LeftoverFate::Ended => "ended",
                LeftoverFate::Kept => "left running",
                LeftoverFate::Survived => "could not be ended",
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
    fn one_line_is_short_and_controls_nothing() {
        assert_eq!(one_line("make\tall"), "make all");
        assert_eq!(one_line("\n  \x1b[31mcd /src\x1b[0m\n\nmake\n"), "cd /src …");
        assert_eq!(one_line("a\u{202e}b\u{2028}Job c is running"), "ab …");
        assert_eq!(one_line(&"x".repeat(1_000)), "x".repeat(200) + " …");
    }

    #[test]
    fn only_the_first_line_can_look_like_ours() {
        assert_eq!(indented("no\n  key = 1\n  ^\n"), "no\n      key = 1\n      ^");
        assert_eq!(
            indented("cannot run x\rhoming: note: y\u{2028}z"),
            "cannot run x\n    homing: note: y\n    z"
        );
    }

    #[test]
    fn distances_in_time_have_one_unit() {
        let at = |seconds: i64| Timestamp::from_unix_millis(seconds * 1_000);
        assert_eq!(ago(at(0), at(0)), "0s ago");
        assert_eq!(ago(at(0), at(59)), "59s ago");
        assert_eq!(ago(at(0), at(3_725)), "1h ago");
        assert_eq!(ago(at(100), at(0)), "0s ago");
        assert_eq!(ahead(at(90), at(0)), "in 1m");
        assert_eq!(ahead(at(0), at(90)), "now");
    }
}
