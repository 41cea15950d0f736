//! The details of one job.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing::core::text::{flatten, grouped, is_line_break};
use homing::core::{Recovery, Timestamp, format_duration};
use homing::{FollowUpPolicy, Job, JobUsage, LeftoverPolicy, WakeRecord};

use super::format::{ago, ahead, aligned, bytes, leftover_text, one_line, progress};
use super::style::{StatusStyle, TITLE};
use super::wakes::print_wakes;
use crate::exit::Failure;
use crate::local_time::{date_and_time, now};

/// The details to show.
pub(crate) struct Detail<'a> {
    pub(crate) job: &'a Job,
    /// The directory of the job, if it still exists.
    pub(crate) directory: Option<PathBuf>,
    /// What its processes use now, if it runs here.
    pub(crate) usage: Option<JobUsage>,
    /// Newest first.
    pub(crate) wakes: Vec<WakeRecord>,
    pub(crate) last_lines: Vec<String>,
}

/// Prints the fields of a job, the attempts to deliver its result, and the end of its output.
pub(crate) fn print_detail(detail: &Detail<'_>) -> Result<(), Failure> {
    let Detail { job, directory, usage, wakes, last_lines } = detail;
    let now = now();
    let mut stdout = anstream::stdout().lock();
    let style = StatusStyle::of_job(job).style();
    writeln!(stdout, "{TITLE}Job {}{TITLE:#}  {style}{}{style:#}", job.id, progress(job, now))?;
    for (label, value) in fields(job, directory.as_deref(), usage.as_ref(), now) {
        // A script of several lines stays aligned.
        for (number, line) in value.split(is_line_break).enumerate() {
            writeln!(stdout, "  {:<12} {}", if number == 0 { label } else { "" }, aligned(line))?;
        }
    }
    print_wakes(&mut stdout, wakes, now)?;
    if !last_lines.is_empty() {
        writeln!(stdout, "\n{TITLE}Last output{TITLE:#}")?;
        for line in last_lines {
            writeln!(stdout, "  │ {}", aligned(line))?;
        }
    }
    Ok(stdout.flush()?)
}

fn fields(
    job: &Job,
    directory: Option<&Path>,
    usage: Option<&JobUsage>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let at = |time: Timestamp| format!("{} ({})", date_and_time(time), ago(time, now));
    let mut fields = vec![("Command", job.command.to_string().replace("\r\n", "\n").trim_end().to_owned())];
    if !job.shell.is_bash() {
        fields.push(("Shell", job.shell.to_string()));
    }
    if let Some(name) = &job.name {
        fields.push(("Name", one_line(name)));
    }
    fields.push(("Session", session(job)));
    if let Some(key) = &job.key {
        fields.push(("Key", one_line(key.as_str())));
    }
    if let Some(sink) = &job.sink {
        fields.push(("Sink", one_line(sink)));
    }
    if let Some(executor) = &job.executor {
        fields.push(("Executor", one_line(executor)));
    }
    fields.push(("Directory", flatten(&job.cwd.to_string_lossy())));
    if !job.env_names.is_empty() {
        fields.push(("Variables", one_line(&job.env_names.join(", "))));
    }
    fields.push(("Launched", at(job.created_at)));
    if let Some(started) = job.state.started() {
        fields.push(("Started", format!("{}, pid {}", at(started.started_at), started.pid)));
    }
    if let Some(finished) = job.state.finished() {
        fields.push(("Ended", at(finished.ended_at)));
    }
    fields.push(("Limit", limit(job, now)));
    if let Some(JobUsage { cpu_ms, memory_bytes, processes, .. }) = usage {
        let cpu = format_duration(Duration::from_millis(*cpu_ms));
        let processes =
            if *processes == 1 { "1 process".to_owned() } else { format!("{processes} processes") };
        fields.push((
            "Uses now",
            format!("{} of memory, {processes}; {cpu} of CPU time", bytes(*memory_bytes)),
        ));
    }
    if let Some(cpu) = job.state.finished().and_then(|finished| finished.cpu) {
        fields.push(("CPU time", format_duration(cpu)));
    }
    if let Some(peak) = job.state.finished().and_then(|finished| finished.peak_memory_bytes) {
        fields.push(("Peak memory", bytes(peak)));
    }
    fields.push(("Output", output(job)));
    if let Some(leftovers) = leftover_text(job) {
        fields.push(("Left behind", leftovers));
    }
    if let Some(recovery) = job.state.finished().and_then(|finished| finished.recovery) {
        fields.push(("Recovery", recovery_advice(recovery).to_owned()));
    }
    fields.push(("Follow-up", follow_up(job, now)));
    if let Some(directory) = directory {
        fields.push(("Files", flatten(&directory.to_string_lossy())));
    }
    fields
}

fn recovery_advice(recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::NotRecorded => "not recovered yet; its processes may still run (run homing recover)",
        Recovery::NotSearched => {
            "did not search for its processes, which ran in another pid namespace (run homing recover there)"
        }
    }
}

fn session(job: &Job) -> String {
    match &job.harness {
        Some(harness) => format!("{} of {}", job.session, one_line(harness)),
        None => job.session.to_string(),
    }
}

fn limit(job: &Job, now: Timestamp) -> String {
    let mut text = match job.limits.timeout {
        Some(timeout) => format_duration(timeout),
        None => "none".to_owned(),
    };
    if let Some(ends_by) = job.ends_by() {
        text += &format!(", ends by {} ({})", date_and_time(ends_by), ahead(ends_by, now));
    }
    text += &format!(", grace {}", format_duration(job.limits.grace));
    text + match job.leftovers {
        LeftoverPolicy::Kill => "",
        LeftoverPolicy::Keep => ", keeps leftovers",
    }
}

fn output(job: &Job) -> String {
    if let (Some(executor), None) = (&job.executor, job.outcome()) {
        return format!("on {} until it has finished (run homing output {})", one_line(executor), job.id);
    }
    let total = job.output.total_bytes;
    let mut text = bytes(total);
    if total >= 1024 {
        text += &format!(" ({} bytes)", grouped(total));
    }
    for (count, fate) in [
        (job.output.omitted_bytes, "overwritten by newer output"),
        (job.output.dropped_bytes, "lost to a full disk"),
    ] {
        if count > 0 {
            text += &format!(", {} {fate}", bytes(count));
        }
    }
    text
}

fn follow_up(job: &Job, now: Timestamp) -> String {
    let mut text = job.follow_up.state.to_string();
    text += match job.follow_up_policy {
        FollowUpPolicy::Always => "",
        FollowUpPolicy::Failure => ", on failure only",
        FollowUpPolicy::Never => ", never delivered",
    };
    if job.follow_up.attempts > 0 {
        text += &format!(", attempts {}", job.follow_up.attempts);
    }
    if let Some(next) = job.follow_up.next_attempt_at {
        text += &format!(", next {}", ahead(next, now));
    }
    if let Some(error) = &job.follow_up.last_error {
        text += &format!(", last error: {}", one_line(error));
    }
    text
}
