//! Sentences about jobs for models: how a job ended, what is known about a running one, and one line of a list. All are
//! short, because the model pays for every word.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use homing::core::text::one_line;
use homing::core::{LeftoverFate, LostReason, Timestamp, format_duration};
use homing::{Job, JobState, KilledBy, Outcome};

/// Longest title of a job, in characters.
const MAX_TITLE_CHARS: usize = 60;

/// Longest error of a command that did not start, in characters.
const MAX_ERROR_CHARS: usize = 1_000;

/// A limit that ends within this time is shown without its date.
const SAME_DAY: Duration = Duration::from_secs(20 * 3_600);

/// The current wall-clock time.
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(0).saturating_add(since_epoch)
}

/// The name of a job, else its command, on one line in quotes.
pub(super) fn title(job: &Job) -> String {
    let title = job.name.clone().unwrap_or_else(|| job.command.to_string());
    format!("\"{}\"", one_line(&title, MAX_TITLE_CHARS).replace('"', "'"))
}

/// How a job ended, without its id: `exit code 0 after 2ms`, `FAILED: …`. `None` if it has not finished.
pub(super) fn ending(job: &Job) -> Option<String> {
    let finished = job.state.finished()?;
    let after = finished.duration.map(|duration| format!(" after {}", format_duration(duration)));
    let after = after.unwrap_or_default();
    Some(match &finished.outcome {
        Outcome::Exited { exit_code: 0 } => format!("exit code 0{after}"),
        outcome @ (Outcome::Exited { .. } | Outcome::Signaled { .. }) => format!("FAILED: {outcome}{after}"),
        Outcome::TimedOut => match job.limits.timeout {
            Some(timeout) => format!("FAILED: stopped at its time limit of {}", format_duration(timeout)),
            None => "FAILED: stopped at its time limit".to_owned(),
        },
        Outcome::Killed { by: KilledBy::Session } => format!("STOPPED by its own session{after}"),
        outcome @ Outcome::Killed { .. } => format!("FAILED: {outcome}{after}"),
        Outcome::FailedToStart { error } => {
            format!("FAILED: it did not start: {}", one_line(&error.message, MAX_ERROR_CHARS))
        }
        Outcome::Lost { reason: reason @ LostReason::NeverStarted } => format!("FAILED: {reason}"),
        Outcome::Lost { reason } => format!("UNKNOWN: lost{after}: {reason}"),
    })
}

/// The first line about a finished job: `exit code 0 after 2ms (job 5e8b109e45f3)`.
pub(super) fn finished_line(job: &Job, is_titled: bool) -> Option<String> {
    let title = if is_titled { format!(", {}", title(job)) } else { String::new() };
    ending(job).map(|ending| format!("{ending} (job {}{title})\n", job.id))
}

/// What the model must know about a lost job, as the last line; empty for other jobs.
pub(super) fn advice_about_lost(job: &Job) -> &'static str {
    match job.outcome() {
        Some(Outcome::Lost { reason: LostReason::NeverStarted }) => "It can be run again.\n",
        Some(Outcome::Lost { .. }) => {
            "It may or may not have completed. Check what it did before you run it again.\n"
        }
        Some(
            Outcome::Exited { .. }
            | Outcome::Signaled { .. }
            | Outcome::TimedOut
            | Outcome::Killed { .. }
            | Outcome::FailedToStart { .. },
        )
        | None => "",
    }
}

/// What a line about a running job contains.
#[derive(Clone, Copy, Default)]
pub(super) struct RunningLine {
    /// Its title.
    pub(super) is_titled: bool,
    /// Whether the configuration allows no longer time limit.
    pub(super) is_capped: bool,
    /// When it last wrote output.
    pub(super) last_output: Option<Timestamp>,
}

/// The first line about a job that has not finished: its time so far, its last output and its limit.
pub(super) fn running_line(job: &Job, line: RunningLine) -> String {
    let title = if line.is_titled { format!(" {}", title(job)) } else { String::new() };
    let JobState::Running(started) = job.state else {
        return format!("Job {}{title} is starting; its supervisor has not responded yet.\n", job.id);
    };
    let now = now();
    let age = |then: Timestamp| Some(now.saturating_since(then)).filter(|age| age.as_secs() >= 1);
    let running_for = age(started.started_at).map(|age| format!(" ({})", format_duration(age)));
    let mut text = format!("Job {}{title} is running{}.", job.id, running_for.unwrap_or_default());
    if let Some(age) = line.last_output.and_then(age) {
        let _ = write!(text, " Last output {} ago.", format_duration(age));
    }
    if let (Some(ends_by), Some(limit)) = (job.ends_by(), job.limits.timeout) {
        let capped = if line.is_capped { ", the most that the configuration allows" } else { "" };
        let _ = write!(
            text,
            " It is stopped at {} ({} limit{capped}).",
            at(ends_by, now),
            format_duration(limit)
        );
    }
    text.push('\n');
    text
}

/// A time in minutes, without its date if it is near.
fn at(time: Timestamp, now: Timestamp) -> String {
    let text = time.to_string();
    let (date, minutes) = (text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
    if time.saturating_since(now) < SAME_DAY {
        format!("{minutes} UTC")
    } else {
        format!("{date} {minutes} UTC")
    }
}

/// One line of a list.
pub(super) fn list_line(job: &Job) -> String {
    let state = match &job.state {
        JobState::Starting => "starting".to_owned(),
        JobState::Running(started) => {
            format!("running for {}", format_duration(now().saturating_since(started.started_at)))
        }
        JobState::Finished(_) => one_line(&ending(job).unwrap_or_default(), MAX_TITLE_CHARS * 2),
    };
    let unread = if job.is_unread() { " (result not read)" } else { "" };
    format!("{}  {state}{unread}  {}\n", job.id, title(job))
}

/// The line about a job that was to be stopped, and how it ended. `before` is its state before that.
pub(super) fn stopped_line(before: &Job, after: &Job) -> String {
    let id = after.id;
    let ended = ending(after).unwrap_or_else(|| "it has not finished".to_owned());
    // Short: one answer is about up to 20 jobs.
    let ended = one_line(&ended, MAX_TITLE_CHARS * 2);
    let killed_by = match after.outcome() {
        Some(Outcome::Killed { by }) if before.outcome().is_none() => by,
        _ => return format!("Job {id} had already finished: {ended}. Nothing was stopped.\n"),
    };
    let leftovers = after.state.finished().map_or(&[][..], |finished| &finished.leftovers);
    let is_left = |fate| matches!(fate, LeftoverFate::Kept | LeftoverFate::Survived);
    let processes = match leftovers.iter().filter(|leftover| is_left(leftover.fate)).count() {
        0 => "no process of it is left".to_owned(),
        count => format!("{count} of its processes could not be stopped"),
    };
    let notified = match killed_by {
        KilledBy::Session => "You will not be notified of it.",
        KilledBy::Operator | KilledBy::Outside | KilledBy::ServiceManager => "Its session is notified of it.",
    };
    format!("Stopped job {id} {}: {processes}. {notified}\n", title(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_time_is_shown_without_its_date() {
        let now = Timestamp::from_unix_millis(1_795_345_200_123);
        assert_eq!(at(now.saturating_add(Duration::from_secs(3_600)), now), "12:00 UTC");
        assert_eq!(at(now.saturating_add(Duration::from_secs(86_400)), now), "2026-11-23 11:00 UTC");
    }
}
