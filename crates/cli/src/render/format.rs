//! Formats properties of jobs as short texts.

use std::time::Duration;

use homing::core::text::{flatten, is_line_break};
use homing::core::{LeftoverFate, Timestamp, format_duration};
use homing::{Job, JobState, Outcome, SessionId};

use crate::local_time::now;

/// Longer session ids are shortened in tables, in characters.
const SHORT_SESSION_CHARS: usize = 12;

/// The state of a job, in one or two words that are easy to search for.
pub(crate) fn state(job: &Job) -> String {
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
pub(crate) fn duration(job: &Job, now: Timestamp) -> Option<Duration> {
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
pub(crate) fn title(job: &Job) -> String {
    one_line(&job.name.clone().unwrap_or_else(|| job.command.to_string()))
}

/// Maximum length of a one-line text, in characters.
const MAX_LINE_CHARS: usize = 200;

/// The first line of a text that is not blank, without control and invisible characters. Ends with `…` if text is
/// omitted.
pub(crate) fn one_line(text: &str) -> String {
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

/// A session id of at most 12 characters. Keeps the beginning and the end, because some harnesses begin all ids of one
/// minute alike.
pub(crate) fn short_session(session: &SessionId) -> String {
    let text = flatten(session.as_str());
    let count = text.chars().count();
    if count <= SHORT_SESSION_CHARS {
        return text;
    }
    let (head, tail): (String, String) =
        (text.chars().take(7).collect(), text.chars().skip(count - 4).collect());
    format!("{head}…{tail}")
}

/// A number of bytes with at most one digit after the point: `512 bytes`, `1.4 MiB`. Units are powers of 1,024.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} bytes");
    }
    let mut unit = 0;
    // Tenths of a unit.
    let mut tenths = u128::from(count) * 10 / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    match tenths {
        100.. => format!("{} {}", tenths / 10, UNITS[unit]),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// A duration in its largest unit: `3m`.
pub(crate) fn in_one_unit(duration: Duration) -> String {
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
    fn sizes_have_a_unit() {
        let shown = [0, 1023, 1024, 1536, 10_240, 1 << 20, 5_662_310, 1 << 30].map(bytes);
        assert_eq!(
            shown,
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "10 KiB", "1.0 MiB", "5.3 MiB", "1.0 GiB"]
        );
        assert_eq!(bytes(u64::MAX), "16383 PiB");
    }

    #[test]
    fn long_session_ids_keep_their_ends() {
        let short = |text: &str| short_session(&text.parse().unwrap());
        assert_eq!(short("chat-1"), "chat-1");
        assert_eq!(short("0199a8c2-77f1-7a10-9d5e-6f3b1c2d3e4f"), "0199a8c…3e4f");
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
