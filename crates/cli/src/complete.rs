//! Completes jobs and sessions in shells. Prints no messages, because they would appear in the line that is completed.
//! Changes nothing but the ledger, which it brings up to date as every command does.

use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use homing::core::JobName;
use homing::core::text::flatten;
use homing::{Homing, Job, ListOptions, OpenOptions, Origin};

/// A shell waits for the answer.
const BUSY_TIMEOUT: Duration = Duration::from_millis(200);

/// The newest jobs, which are offered.
const MAX_JOBS: u32 = 100;

/// Longest help text, in characters.
const MAX_HELP_CHARS: usize = 60;

/// Completes ids and names of jobs, and `last`.
pub(crate) fn jobs() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let Some(jobs) = newest_jobs() else { return Vec::new() };
        let ids = jobs.iter().map(|job| (job.id.to_string(), description(job)));
        let last = jobs.first().map(|job| ("last".to_owned(), description(job)));
        offer(typed, names_of(&jobs).into_iter().chain(last).chain(ids))
    })
}

/// Completes names of jobs.
pub(crate) fn names() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| offer(typed, names_of(&newest_jobs().unwrap_or_default())))
}

/// Completes sessions that have jobs.
pub(crate) fn sessions() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let jobs = open().and_then(|homing| homing.list(&newest(None)).ok()).unwrap_or_default();
        let mut sessions: Vec<String> = jobs.iter().map(|job| job.session.to_string()).collect();
        sessions.sort_unstable();
        sessions.dedup();
        offer(typed, sessions.into_iter().map(|session| (session, String::new())))
    })
}

/// The newest jobs of the session that the environment names, else of all sessions.
fn newest_jobs() -> Option<Vec<Job>> {
    let session = Origin::named(None).ok()?.map(|origin| origin.session);
    open()?.list(&newest(session)).ok()
}

fn newest(session: Option<homing::SessionId>) -> ListOptions {
    ListOptions { session, limit: Some(MAX_JOBS), ..ListOptions::default() }
}

fn open() -> Option<Homing> {
    OpenOptions::new().busy_timeout(BUSY_TIMEOUT).open_existing().ok().flatten()
}

/// The names by which jobs can be found, each once.
fn names_of(jobs: &[Job]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for job in jobs {
        if let Some(name) = job.name.as_ref().filter(|name| name.parse::<JobName>().is_ok())
            && !found.iter().any(|(known, _)| known == name)
        {
            found.push((name.clone(), description(job)));
        }
    }
    found
}

/// The candidates that begin with the typed text. Leaves out those that a shell would not take literally: bash inserts
/// them unquoted, and an agent chose the name of its job.
fn offer(typed: &OsStr, candidates: impl IntoIterator<Item = (String, String)>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let is_plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "-_.+@".contains(c));
    candidates
        .into_iter()
        .filter(|(value, _)| value.starts_with(typed) && is_plain(value))
        .map(|(value, help)| {
            let help: String = help.chars().take(MAX_HELP_CHARS).collect();
            CompletionCandidate::new(value).help((!help.is_empty()).then(|| help.into()))
        })
        .collect()
}

/// One job in a few words: its state and its command.
fn description(job: &Job) -> String {
    let state = match job.outcome() {
        Some(outcome) => outcome.to_string(),
        None => job.state.name().as_str().to_owned(),
    };
    format!("{}: {}", flatten(&state), flatten(&job.command.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_shells_take_literally_are_offered() {
        let names = ["nightly", "night-2", "night $(reboot)", "night;x", "nigh\tt", "day", "night'"];
        let offered = offer(OsStr::new("ni"), names.map(|name| (name.to_owned(), String::new())));
        let values: Vec<_> = offered.iter().map(CompletionCandidate::get_value).collect();
        assert_eq!(values, ["nightly", "night-2"]);
    }
}
