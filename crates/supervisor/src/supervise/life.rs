//! The life cycle of a supervisor: one small process for each job. It locks the job, runs it, records the outcome,
//! and notifies the inbox. Single-threaded, without an async runtime or a database. It answers its launcher with one
//! byte on standard output.

use std::path::Path;
use std::time::Duration;

use homing_core::{LostReason, Outcome, StartError};

use crate::disk::directory::Directory;
use crate::disk::documents::FinishedRecord;
use crate::disk::error::DiskError;
use crate::disk::job_lock::JobLock;
use crate::disk::output::OutputWriter;
use crate::disk::record::Record;
use crate::disk::slots::Slot;
use crate::disk::spec::SpecFile;
use crate::failpoints::crash_point;
use crate::names::{RECORD, SPEC};
use crate::platform::detach::{answer_on_stdout, continue_in_child, leave_launcher};
use crate::platform::{clock, errors, stdin};
use crate::supervise::attached::{AttachedReader, Streams};
use crate::supervise::finish::Supervision;
use crate::supervise::readiness::Readiness;
use crate::supervise::run::RunningJob;
use crate::supervise::start::{Origin, start_job};

/// How long to wait for the lock of a job that has not begun.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time between two attempts to lock.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The answer of a supervisor to its launcher. The result itself is in the record.
pub const ANSWER: &[u8] = b"!";

/// Daemonizes: continues in a child and exits in the parent, so that init adopts the child. Call it before anything
/// else, in a process that was started for this.
#[allow(unsafe_code, reason = "fork(2)")]
pub fn daemonize() {
    // SAFETY: the process does this first; it has not started a thread.
    unsafe { continue_in_child() };
}

/// Runs a supervisor for the job in `directory`, and returns when the job has finished.
///
/// Call it only in a process that was started for this, before anything else is opened or started in it. The job gets the
/// standard input of this process. With `attached`, the launcher reads the output while the job runs: standard error is
/// the pipe for its reports.
///
/// # Errors
/// If there is no such job, or its directory cannot be read.
pub fn supervise(directory: &Path, start: Start, attached: Option<Streams>) -> Result<(), DiskError> {
    detach();
    supervise_when_ready(directory, start, attached, Readiness::of_this_process())
}

/// As [`supervise`], in a process that is detached already.
pub(crate) fn supervise_when_ready(
    directory: &Path,
    start: Start,
    attached: Option<Streams>,
    readiness: Readiness,
) -> Result<(), DiskError> {
    let directory = Directory::open(directory)?;
    let no_record = || directory.error("open", RECORD, errors::not_found());
    let record = Record::open_to_update(&directory)?.ok_or_else(no_record)?;
    let Some(_lock) = lock_unless_begun(&directory, &record)? else { return Ok(()) };
    crash_point("supervise/locked");
    let no_spec = || directory.error("open", SPEC, errors::not_found());
    let spec = SpecFile::read(&directory)?.ok_or_else(no_spec)?;
    let supervision = Supervision { id: spec.id, shell: spec.shell, directory, record };
    if start == Start::InTime && time_since_launch(&spec) > START_TIMEOUT {
        // After this time, readers conclude that the command did not run. That must stay true.
        let outcome = Outcome::Lost { reason: LostReason::NeverStarted };
        return supervision.finish(&FinishedRecord::bare(outcome, clock::wall_millis()));
    }
    run(&supervision, &spec, attached, readiness)
}

/// When a job may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Within [`START_TIMEOUT`] of its launch.
    InTime,
    /// At any time: its launcher died before it started the job, and another launch has the same key. If the session
    /// was notified meanwhile that the job never started, it is notified again with the new outcome.
    Late,
}

/// How long after its launch a job may start. Readers wait a little longer before they conclude that it never
/// started.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Time since the launch, on the boot-time clock, which does not jump.
fn time_since_launch(spec: &SpecFile) -> Duration {
    clock::uptime().saturating_sub(Duration::from_micros(spec.created_uptime_us))
}

/// Locks the job. Waits, because a reader that observes the job holds the lock briefly. Returns `None` if this
/// supervisor must not run the job: a reader recorded it as lost, another supervisor has begun, or the lock was not
/// released in [`LOCK_TIMEOUT`]. A command never runs twice.
fn lock_unless_begun(directory: &Directory, record: &Record) -> Result<Option<JobLock>, DiskError> {
    let give_up_at = clock::monotonic() + LOCK_TIMEOUT;
    let mut pause = Duration::from_millis(1);
    loop {
        // Lock before reading: another supervisor may begin between the two.
        let lock = JobLock::try_lock(directory)?;
        if has_begun(directory, record)? {
            return Ok(None);
        }
        if lock.is_some() {
            return Ok(lock);
        }
        if clock::monotonic() >= give_up_at {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn has_begun(directory: &Directory, record: &Record) -> Result<bool, DiskError> {
    let content = record.read().map_err(|e| directory.error("read", RECORD, e))?;
    Ok(content.started != Slot::Empty || content.finished != Slot::Empty)
}

/// Detaches from the launcher: its session and terminal, its descriptors and its working directory. Becomes the
/// subreaper of all descendants.
#[allow(unsafe_code, reason = "closes descriptors without owners")]
fn detach() {
    // SAFETY: the process does this first; it has not opened anything.
    unsafe { leave_launcher() };
}

/// Starts the job and supervises it until it has finished.
fn run(
    supervision: &Supervision,
    spec: &SpecFile,
    attached: Option<Streams>,
    readiness: Readiness,
) -> Result<(), DiskError> {
    match start(supervision, spec, attached, readiness) {
        Ok(job) => {
            answer_launcher();
            crash_point("supervise/answered");
            job.until_finished(supervision)
        }
        Err(error) => {
            let outcome = Outcome::FailedToStart { error };
            let recorded = supervision.finish(&FinishedRecord::bare(outcome, clock::wall_millis()));
            answer_launcher();
            recorded
        }
    }
}

fn start(
    supervision: &Supervision,
    spec: &SpecFile,
    attached: Option<Streams>,
    readiness: Readiness,
) -> Result<RunningJob, StartError> {
    let Readiness { mut placement, events, null, supervisor } = readiness;
    let failed = |message: &str, error: std::io::Error| StartError {
        message: format!("{message}: {error}"),
        errno: error.raw_os_error(),
    };
    let events = events.map_err(|error| failed("cannot receive signals", error))?;
    // If the system does not support this, `homing doctor` finds supervisors whose directory was removed.
    let _ = events.watch_removals(supervision.directory.handle());
    let null = null.map_err(|error| failed("cannot open /dev/null", error))?;
    let reader = attached.map(AttachedReader::take).transpose();
    let reader = reader.map_err(|error| failed("cannot take the pipes of its reader", error))?;
    let described = spec.name.as_deref().map_or(String::new(), |name| format!(": {name}"));
    placement.enter_own(spec.id.as_str(), &format!("homing job {}{described}", spec.id));
    crash_point("supervise/placed");
    let streams = attached.unwrap_or(Streams::Merged);
    let job =
        start_job(spec, supervision, Origin { supervisor, placement: &placement, events: &events }, streams)?;
    // If this fails, the writer of a pipe notices the end of the job only when this process ends too.
    let _ = stdin::replace(&null);
    let output = OutputWriter::new(null, spec.head_bytes, spec.tail_bytes);
    Ok(RunningJob::new(job, events, output, reader, spec))
}

/// Tells the launcher that the record is written, and closes its pipe.
fn answer_launcher() {
    let _ = answer_on_stdout(ANSWER);
}
