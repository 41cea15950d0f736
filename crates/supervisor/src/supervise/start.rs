//! Starts a job: resolves the command to candidate files, forks a process that waits at a gate, records it, and then
//! lets it execute the command. A command never runs before its process is recorded.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use homing_core::{JobCommand, StartError};
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::disk::directory::Directory;
use crate::disk::documents::StartedRecord;
use crate::disk::run_by::RunBy;
use crate::disk::spec::SpecFile;
use crate::names::SCRIPT;
use crate::platform::ProcessIdentity;
use crate::platform::cgroup::{Cgroup, CgroupGuard};
use crate::platform::clock;
use crate::platform::fork::{Candidate, ExecPlan, StartStep, fork_behind_gate};
use crate::supervise::finish::Supervision;

/// Search path if the environment has no `PATH`, as in execvp(3).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A job whose command is running.
#[derive(Debug)]
pub(crate) struct StartedJob {
    /// The started slot of its record.
    pub record: StartedRecord,
    /// Its output pipe, non-blocking.
    pub output: OwnedFd,
    /// The control group of its tree, if there is one.
    pub cgroup: Option<CgroupGuard>,
}

/// Starts the command of `spec` in the control group `planned`. `service` is the systemd service whose end also ends
/// the job.
///
/// # Errors
/// If it cannot be started. Then the command did not run, and no process is left except perhaps a zombie.
pub(crate) fn start_job(
    spec: &SpecFile,
    supervision: &Supervision,
    null: BorrowedFd<'_>,
    service: Option<String>,
    planned: Option<Cgroup>,
) -> Result<StartedJob, StartError> {
    let Supervision { directory, record, .. } = supervision;
    let plan = exec_plan(spec, directory)?;
    let (output, output_writer) =
        pipe_with(PipeFlags::CLOEXEC).map_err(failed("make a pipe for its output"))?;
    rustix::io::ioctl_fionbio(&output, true).map_err(failed("prepare the pipe for its output"))?;
    let output_pipe = fstat(&output).map_err(failed("inspect the pipe for its output"))?.st_ino;

    let child =
        fork_behind_gate(&plan, null, output_writer.as_fd()).map_err(failed_io("make a process for it"))?;
    drop(output_writer);
    crate::failpoints::crash_point("supervise/forked");

    let started_at_ms = clock::wall_millis();
    let no_proc = || start_error("find its process in /proc", Errno::SRCH);
    let main = ProcessIdentity::of(child.pid()).ok_or_else(no_proc)?;
    let mut started = StartedRecord {
        main,
        supervisor: ProcessIdentity::of_this_process().ok_or_else(no_proc)?,
        run_by: RunBy::this_process().map_err(failed_io("find out where it runs"))?,
        started_at_ms,
        output_pipe,
        cgroup: planned.as_ref().map(|group| group.path().to_string_lossy().into_owned()),
        decided: None,
        service,
        ended: None,
    };
    // Record before the group is created: after a crash, recovery then knows which group to remove.
    record.write_started(&started).map_err(failed("record its process"))?;
    crate::failpoints::crash_point("supervise/started_recorded");
    let cgroup = planned.and_then(|group| group.create_for(child.pid()).ok());
    if cgroup.is_none() && started.cgroup.take().is_some() {
        record.write_started(&started).map_err(failed("record its process"))?;
    }
    crate::failpoints::crash_point("supervise/grouped");

    match child.open() {
        Ok(()) => Ok(StartedJob { record: started, output, cgroup }),
        Err((step, errno)) => Err(describe(spec, step, errno)),
    }
}

fn describe(spec: &SpecFile, step: StartStep, errno: Errno) -> StartError {
    match step {
        StartStep::ChangeDirectory => start_error(&format!("go to {}", spec.cwd.display()), errno),
        StartStep::Execute => {
            let program = match &spec.command {
                JobCommand::Script(_) => "a shell",
                JobCommand::Argv(words) => words[0].as_str(),
            };
            start_error(&format!("run {program}"), errno)
        }
    }
}

fn start_error(action: &str, errno: Errno) -> StartError {
    let reason = io::Error::from(errno).to_string();
    // "No such file or directory (os error 2)": the number has a field of its own.
    let reason = reason.split(" (os error").next().unwrap_or(&reason);
    StartError { message: format!("cannot {action}: {reason}"), errno: Some(errno.raw_os_error()) }
}

fn failed(action: &'static str) -> impl Fn(Errno) -> StartError {
    move |errno| start_error(action, errno)
}

fn failed_io(action: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| start_error(action, Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Creates all strings that the child needs.
fn exec_plan(spec: &SpecFile, directory: &Directory) -> Result<ExecPlan, StartError> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let (candidates, arguments) = match &spec.command {
        JobCommand::Script(_) => {
            let script = directory.path().join(SCRIPT).into_os_string();
            let mut shells = candidates("bash", search_path("bash", &path))?;
            shells.extend(candidates("sh", search_path("sh", &path))?);
            shells.extend(candidates("sh", vec!["/bin/sh".into()])?);
            (shells, vec![script])
        }
        JobCommand::Argv(words) => {
            let arguments: Vec<_> = words.iter().skip(1).map(std::ffi::OsString::from).collect();
            (candidates(&words[0], search_path(&words[0], &path))?, arguments)
        }
    };
    let environment = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name
    });
    Ok(ExecPlan {
        candidates,
        arguments: c_strings(arguments)?,
        environment: c_strings(environment)?,
        cwd: c_string(spec.cwd.clone().into_os_string())?,
    })
}

/// Candidates for these files, executed with this name.
fn candidates(name: &str, files: Vec<std::ffi::OsString>) -> Result<Vec<Candidate>, StartError> {
    files
        .into_iter()
        .map(|file| Ok(Candidate { file: c_string(file)?, name: c_string(name.into())? }))
        .collect()
}

/// Returns the files that a program name may refer to, as in execvp(3).
fn search_path(program: &str, path: &OsStr) -> Vec<std::ffi::OsString> {
    if program.contains('/') {
        return vec![program.into()];
    }
    let directories = path.as_bytes().split(|&byte| byte == b':');
    directories
        .map(|directory| {
            let mut file = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
            file.push(b'/');
            file.extend_from_slice(program.as_bytes());
            std::ffi::OsString::from_vec(file)
        })
        .collect()
}

fn c_strings(strings: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Vec<CString>, StartError> {
    strings.into_iter().map(c_string).collect()
}

fn c_string(string: std::ffi::OsString) -> Result<CString, StartError> {
    CString::new(string.into_vec())
        .map_err(|_| StartError { message: "its command contains a NUL byte".to_owned(), errno: None })
}
