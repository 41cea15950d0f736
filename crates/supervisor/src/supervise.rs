//! The life of a supervisor: one small process beside each job, from taking its lock to ringing its doorbell.
//! Single-threaded, without runtime or database. It talks to its launcher through standard output, in one byte.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use homing_core::{LostReason, Outcome, StartError};
use rustix::fs::{Mode, OFlags};

use crate::job_lock::JobLock;
use crate::layout::{Directory, RECORD, SPEC};
use crate::output::OutputWriter;
use crate::platform::cgroup::{Cgroup, OwnGroups, leave_foreign_job};
use crate::platform::clock;
use crate::platform::fork::{close_inherited_descriptors, go_on_in_a_child};
use crate::platform::scope;
use crate::platform::signals::SignalQueue;
use crate::record::{FinishedRecord, Record, Slot};
use crate::spec_file::SpecFile;
use crate::start_job::start_job;
use crate::supervision::Supervision;
use crate::watch::Watch;
use crate::{DiskError, crash_point};

/// How long the lock of a job is waited for that has not begun.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time between two looks whether it is free.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What a supervisor tells its launcher: the record says the rest.
pub const ANSWER: &[u8] = b"!";

/// Stands apart from the process that started this one: it is nobody's child but init's. Call it first thing in a
/// process that was started for this.
#[allow(unsafe_code, reason = "fork(2)")]
pub fn daemonize() {
    // SAFETY: this is the first thing the process does; it has started no thread.
    unsafe { go_on_in_a_child() };
}

/// Runs a supervisor for the job in `directory`, and returns when the job is over.
///
/// Call it only in a process that was started for this, before anything else is opened or started in it.
///
/// # Errors
/// When there is no such job, or its disk cannot be read.
pub fn supervise(directory: &Path, start: Start) -> Result<(), DiskError> {
    let groups = detach();
    let directory = Directory::open(directory)?;
    let no_record = || directory.error("open", RECORD, rustix::io::Errno::NOENT);
    let record = Record::open_to_update(&directory)?.ok_or_else(no_record)?;
    let Some(_lock) = lock_unless_begun(&directory, &record)? else { return Ok(()) };
    crash_point("supervise/locked");
    let no_spec = || directory.error("open", SPEC, rustix::io::Errno::NOENT);
    let spec = SpecFile::read(&directory)?.ok_or_else(no_spec)?;
    let supervision = Supervision { id: spec.id, directory, record };
    if start == Start::InTime && time_since_launch(&spec) > START_TIMEOUT {
        // Readers conclude after this time that the command did not run; that has to stay true.
        let outcome = Outcome::Lost { reason: LostReason::NeverStarted };
        return supervision.finish(&FinishedRecord::bare(outcome, clock::wall_millis()));
    }
    run(&supervision, &spec, groups)
}

/// When a job may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Within [`START_TIMEOUT`] of its launch.
    InTime,
    /// At any time: its launcher died before it could start it, and another launcher asks for it under its key. Where
    /// its session was told meanwhile that it never started, it is told of the correction.
    Late,
}

/// How long after its launch a job may start. Readers wait a little longer than this before they conclude that it did
/// not.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long ago the job was launched, on the clock since boot, which does not jump.
fn time_since_launch(spec: &SpecFile) -> Duration {
    clock::uptime().saturating_sub(Duration::from_micros(spec.created_uptime_us))
}

/// Takes the lock, and waits for it: a reader that observes the job holds it for a moment. `None` where there is nothing
/// to do: somebody gave this job up before we came, or another supervisor, whose launcher died, has begun, or has held the
/// lock for longer than anything should. A command never runs twice.
fn lock_unless_begun(directory: &Directory, record: &Record) -> Result<Option<JobLock>, DiskError> {
    let give_up_at = clock::monotonic() + LOCK_TIMEOUT;
    let mut pause = Duration::from_millis(1);
    loop {
        // Lock before reading: until then another supervisor may begin.
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

/// Leaves everything of the launcher behind: its session and terminal, its descriptors, its place as our child's heir.
/// Returns the control groups that this process is in then.
#[allow(unsafe_code, reason = "closing descriptors that nobody owns")]
fn detach() -> OwnGroups {
    // SAFETY: this is the first thing the process does; nothing has been opened.
    unsafe { close_inherited_descriptors() };
    // Fails only where we lead a session already.
    let _ = rustix::process::setsid();
    // Fails only on kernels before 3.4.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let _ = rustix::process::chdir("/");
    leave_foreign_job()
}

/// Starts the job, and watches over it to its end.
fn run(supervision: &Supervision, spec: &SpecFile, groups: OwnGroups) -> Result<(), DiskError> {
    match start(supervision, spec, groups) {
        Ok(watch) => {
            answer_launcher();
            crash_point("supervise/answered");
            watch.until_finished(supervision)
        }
        Err(error) => {
            let outcome = Outcome::FailedToStart { error };
            let recorded = supervision.finish(&FinishedRecord::bare(outcome, clock::wall_millis()));
            answer_launcher();
            recorded
        }
    }
}

fn start(supervision: &Supervision, spec: &SpecFile, mut groups: OwnGroups) -> Result<Watch, StartError> {
    let failed = |message: &str, error: std::io::Error| StartError {
        message: format!("{message}: {error}"),
        errno: error.raw_os_error(),
    };
    let signals = SignalQueue::open().map_err(|error| failed("cannot receive signals", error))?;
    // Where the kernel cannot do that, `homing doctor` finds a supervisor whose directory is gone.
    let _ = signals.watch_removals(supervision.directory.as_fd());
    let null = open_null().map_err(|error| failed("cannot open /dev/null", error))?;
    let described = spec.name.as_deref().map_or(String::new(), |name| format!(": {name}"));
    let placement =
        scope::enter_own(&mut groups, spec.id.as_str(), &format!("homing job {}{described}", spec.id));
    crash_point("supervise/placed");
    let planned = Cgroup::planned(spec.id, &groups);
    let job = start_job(spec, supervision, null.as_fd(), placement.service(), planned)?;
    let output = OutputWriter::new(null, spec.head_bytes, spec.tail_bytes);
    Ok(Watch::new(job, signals, output, spec))
}

fn open_null() -> std::io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Tells the launcher to look at the record, and lets go of its pipe.
fn answer_launcher() {
    let _ = rustix::io::write(rustix::stdio::stdout(), ANSWER);
    if let Ok(null) = open_null() {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}
