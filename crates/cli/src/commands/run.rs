//! `homing run`: launches a command. Without `--wait` nothing is done but that: its time is measured.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use homing::{Homing, Job, JobId, JobState, OpenOptions, Outcome, WaitFor};

use super::open::open;
use super::read::acknowledge_read;
use super::stream::{Streamed, follow};
use crate::args::RunArgs;
use crate::exit::{FAILED, Failure, NOT_FINISHED, complain, note, note_with_hint, say};
use crate::interrupt::explain_interrupt;
use crate::render::output::TextSink;
use crate::render::{leftover_text, print_json};

/// How long the ledger is waited for where the answer does not depend on it.
const QUICK: Duration = Duration::from_millis(200);

/// Launches a command, and with `--wait` stays with it.
pub(super) fn run(args: RunArgs) -> Result<ExitCode, Failure> {
    let (wait, as_json) = (args.wait, args.json);
    let spec = args.into_spec()?;
    let homing = open()?;
    let job = homing.launch(spec)?;
    if let Some(warning) = homing.take_service_warning() {
        note_with_hint(&warning.to_string(), &warning.hint());
    }
    if wait.is_some() {
        // At once: a signal that ends this process now says which job keeps running.
        explain_interrupt(&[job.id]);
    }
    if job.state == JobState::Starting {
        warn_of_silent_supervisor(job.id);
    }
    // Whoever stays reads the end here.
    let _attention = wait.map(|_| homing.hold_delivery(&[job.id], &job.session));
    if !did_not_start(&job) {
        start_monitor(&homing, &job);
    }
    match wait {
        None => announce(&homing, &job, as_json),
        Some(at_most) if as_json => wait_for_document(&homing, job.id, at_most),
        Some(at_most) => stay(&homing, &job, at_most),
    }
}

/// Sees to it that somebody will tell the session. The job runs whether that succeeds or not.
fn start_monitor(homing: &Homing, job: &Job) {
    if let Err(error) = homing.start_monitor_if_needed(job) {
        note_with_hint(
            &format!("job {} runs, and no monitor could be started to tell of its end: {error}", job.id),
            "homing monitor starts one",
        );
    }
}

/// The launch has waited for its answer in vain.
fn warn_of_silent_supervisor(id: JobId) {
    note_with_hint(
        &format!("job {id} is starting: its supervisor has not answered for 10 seconds"),
        &format!("it may be stopped, or the machine very busy; homing show {id} shows how the job goes on"),
    );
}

/// Whether it is over and its command never ran. One that was found by its key may have been lost later.
fn did_not_start(job: &Job) -> bool {
    matches!(job.outcome(), Some(Outcome::FailedToStart { .. } | Outcome::Lost { .. }))
        && job.state.started().is_none()
}

/// Prints the id, or the document.
fn announce(homing: &Homing, job: &Job, as_json: bool) -> Result<ExitCode, Failure> {
    let told =
        if as_json { print_json(job) } else { writeln!(io::stdout(), "{}", job.id).map_err(Failure::from) };
    if let Err(Failure::Write(_)) = told {
        note(&format!("job {} was launched", job.id));
    }
    told?;
    if let Some(outcome) = job.outcome().filter(|_| did_not_start(job)) {
        complain(&why_it_did_not_start(job.id, outcome));
        if !acknowledge_if_that_is_quick(job.id) {
            start_monitor(homing, job);
        }
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

fn why_it_did_not_start(id: JobId, outcome: &Outcome) -> String {
    match outcome {
        Outcome::FailedToStart { error } => format!("job {id} did not start: {error}"),
        other => format!("job {id} did not start: {other}"),
    }
}

/// Notes that the launching session has just been told that its job did not start; answers whether that is noted. A
/// launch waits for no ledger: where this takes long or fails, the session is told again.
fn acknowledge_if_that_is_quick(id: JobId) -> bool {
    OpenOptions::new().busy_timeout(QUICK).open().and_then(|homing| homing.acknowledge(&[id])).is_ok()
}

/// Streams the output until the job is over, or for so long at most.
fn stay(homing: &Homing, job: &Job, at_most: Option<Duration>) -> Result<ExitCode, Failure> {
    let id = job.id;
    if io::stderr().is_terminal() {
        say(&format!("job {id} started"));
    }
    let deadline = at_most.and_then(|at_most| Instant::now().checked_add(at_most));
    match follow(homing, id, 0, deadline, &mut TextSink::starting_at(0))? {
        Streamed::TimeIsOver => {
            say(&format!("stopped waiting; job {id} keeps running (homing wait {id} waits for it)"));
            Ok(ExitCode::from(NOT_FINISHED))
        }
        Streamed::ToTheEnd => {
            let job = homing.get(id)?;
            tell_what_output_does_not(&job);
            Ok(leave(homing, &job))
        }
    }
}

/// Waits in silence, and prints the document of the job as it is then.
fn wait_for_document(homing: &Homing, id: JobId, at_most: Option<Duration>) -> Result<ExitCode, Failure> {
    let waited = homing.wait(&[id], WaitFor::All, at_most)?;
    for job in &waited.jobs {
        print_json(job)?;
    }
    Ok(waited.jobs.first().map_or(ExitCode::from(NOT_FINISHED), |job| leave(homing, job)))
}

/// The exit status of a job, and 75 for one that is still running. A job that its session has waited for to the end is
/// acknowledged.
fn leave(homing: &Homing, job: &Job) -> ExitCode {
    acknowledge_read(homing, &job.session, std::slice::from_ref(job));
    job.outcome().map_or(ExitCode::from(NOT_FINISHED), |outcome| ExitCode::from(outcome.as_exit_status()))
}

/// Says what a command that runs in the foreground would not leave open.
fn tell_what_output_does_not(job: &Job) {
    let id = job.id;
    match job.outcome() {
        Some(outcome @ Outcome::FailedToStart { .. }) => complain(&why_it_did_not_start(id, outcome)),
        Some(Outcome::Exited { .. }) | None => {}
        Some(outcome) => note(&format!("job {id}: {outcome}")),
    }
    if let Some(leftovers) = leftover_text(job) {
        note(&format!("job {id} left processes behind: {leftovers}"));
    }
}
