//! The wait of `homing run --wait`: behaves like the command itself in the foreground, with its output, its standard input
//! and its exit status.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use homing::core::text::grouped;
use homing::{Followed, Homing, Job, JobId, Outcome, OutputFollower};
use homing_supervisor::platform::file::open_null;
use homing_supervisor::platform::stdin::{self, StdinKind};

use super::acknowledge_read::acknowledge_read;
use crate::exit::{Failure, INCOMPLETE, NOT_FINISHED, READER_GONE};
use crate::render::foreground::Foreground;
use crate::render::{leftover_text, note, note_with_hint, print_error, say};

/// Whether the job gets the standard input of this process. An agent harness gives its commands a pipe that it never
/// closes, so there only on request. A background job cannot read a terminal.
///
/// # Errors
/// If a terminal was requested.
pub(super) fn passes_stdin(is_requested: bool, waits: bool) -> Result<bool, Failure> {
    if !is_requested && !waits {
        return Ok(false);
    }
    match stdin::kind() {
        StdinKind::Terminal if is_requested => Err(Failure::Usage {
            code: "stdin_is_terminal",
            message: "standard input is a terminal, which a background job cannot read".to_owned(),
            hint: Some("pass a file or a pipe, for example: homing run --stdin sort < FILE".to_owned()),
        }),
        StdinKind::Terminal => Ok(false),
        StdinKind::FileOrPipe => Ok(is_requested || !homing::harness::is_active()),
        StdinKind::Other => Ok(is_requested),
    }
}

/// Stops reading the standard input that the job has inherited, so that a writer depends on the job alone.
pub(super) fn leave_stdin_to_job() {
    // If this fails, the writer of a pipe notices the end of the job only when this process ends too.
    let _ = open_null().and_then(|null| stdin::replace(&null));
}

/// Streams the output until the job finishes, or for at most `at_most`.
pub(super) fn stream_until_finished(
    homing: &Homing,
    job: &Job,
    mut output: OutputFollower,
    at_most: Option<Duration>,
) -> Result<ExitCode, Failure> {
    let id = job.id;
    if io::stderr().is_terminal() {
        say(&format!("job {id} started"));
    }
    let deadline = at_most.and_then(|at_most| Instant::now().checked_add(at_most));
    let mut foreground = Foreground::new();
    let is_writing = Arc::new(AtomicBool::new(false));
    if let Some(deadline) = deadline {
        leave_if_blocked(id, deadline, Arc::clone(&is_writing));
    }
    let streamed = stream(&mut output, deadline, &mut foreground, &is_writing);
    // The job does not wait for this process any more.
    drop(output);
    match streamed {
        Ok(Streamed::TimedOut) => {
            say_stopped(id);
            Ok(ExitCode::from(NOT_FINISHED))
        }
        Ok(Streamed::Finished) => {
            let job = homing.get(id)?;
            let missing = foreground.missing_of(job.output.total_bytes);
            report_outcome(&job);
            let status = finish_wait(homing, &job);
            let is_success = job.outcome().is_some_and(Outcome::succeeded);
            if is_success && missing > 0 {
                let bytes = grouped(missing);
                print_error(&format!("job {id} succeeded, but {bytes} bytes of its output are missing here"));
                return Ok(ExitCode::from(INCOMPLETE));
            }
            Ok(status)
        }
        Err(failure) => {
            let hint = format!("run homing wait {id} to wait for it, or homing kill {id} to stop it");
            match failure {
                Failure::ReaderGone => {
                    note_with_hint(
                        &format!("the reader of the output has ended; job {id} keeps running"),
                        &hint,
                    );
                    Ok(ExitCode::from(READER_GONE))
                }
                failure => {
                    note_with_hint(&format!("job {id} keeps running"), &hint);
                    Err(failure)
                }
            }
        }
    }
}

fn say_stopped(id: JobId) {
    say(&format!("stopped waiting; job {id} keeps running (run homing wait {id} to wait again)"));
}

/// How long after the deadline this process is considered blocked.
const BLOCKED: Duration = Duration::from_millis(500);

/// Ends this process if it is still writing to a blocked reader after the deadline. Without this, the reader would decide
/// how long this process waits, and the job would wait too. If no thread can be started, that happens.
fn leave_if_blocked(id: JobId, deadline: Instant, is_writing: Arc<AtomicBool>) {
    let leave = move || {
        std::thread::sleep(deadline.saturating_duration_since(Instant::now()).saturating_add(BLOCKED));
        if is_writing.load(Ordering::Relaxed) {
            say_stopped(id);
            std::process::exit(i32::from(NOT_FINISHED));
        }
    };
    let _ = std::thread::Builder::new().name("homing-deadline".to_owned()).spawn(leave);
}

/// Why streaming ended.
enum Streamed {
    Finished,
    TimedOut,
}

fn stream(
    output: &mut OutputFollower,
    deadline: Option<Instant>,
    foreground: &mut Foreground,
    is_writing: &AtomicBool,
) -> Result<Streamed, Failure> {
    let streamed = loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match output.next_within(left)? {
            Followed::Output(chunk) => {
                is_writing.store(true, Ordering::Relaxed);
                foreground.write(output.stream(), &chunk)?;
                is_writing.store(false, Ordering::Relaxed);
            }
            Followed::Finished => break Streamed::Finished,
            Followed::NothingYet => break Streamed::TimedOut,
        }
        // A job that writes continuously must not delay the deadline.
        if left.is_some_and(|left| left.is_zero()) {
            break Streamed::TimedOut;
        }
    };
    foreground.finish()?;
    Ok(streamed)
}

/// The exit status of the job, or 75 while it runs. Acknowledges the result of a finished job.
pub(super) fn finish_wait(homing: &Homing, job: &Job) -> ExitCode {
    acknowledge_read(homing, &job.session, std::slice::from_ref(job));
    job.outcome().map_or(ExitCode::from(NOT_FINISHED), |outcome| ExitCode::from(outcome.as_exit_status()))
}

/// Reports on standard error how the job ended where its exit status does not show it, and the processes it left
/// behind.
fn report_outcome(job: &Job) {
    let id = job.id;
    match job.outcome() {
        Some(outcome @ Outcome::FailedToStart { .. }) => print_error(&start_error(id, outcome)),
        Some(Outcome::Exited { .. }) | None => {}
        Some(outcome) => note(&format!("job {id}: {outcome}")),
    }
    if let Some(leftovers) = leftover_text(job) {
        note(&format!("job {id} left processes behind: {leftovers}"));
    }
}

/// Why a job did not start.
pub(super) fn start_error(id: JobId, outcome: &Outcome) -> String {
    match outcome {
        Outcome::FailedToStart { error } => format!("job {id} did not start: {error}"),
        other => format!("job {id} did not start: {other}"),
    }
}
