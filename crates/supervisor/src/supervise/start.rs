//! Starts a job: forks a process that waits at a gate, records it, and then lets it execute the command. A command never
//! runs before its process is recorded.

use std::io;

use homing_core::{JobCommand, StartError};

use crate::disk::documents::StartedRecord;
use crate::disk::spec::SpecFile;
use crate::failpoints::crash_point;
use crate::names::SCRIPT;
use crate::platform::cgroup::{Cgroup, CgroupGuard};
use crate::platform::fork::{ExecPlan, StartStep, fork_behind_gate};
use crate::platform::pipe::{PipeReader, PipeWriter, pipe};
use crate::platform::{ProcessIdentity, clock, errors};
use crate::supervise::attached::{OutputStream, Streams};
use crate::supervise::finish::Supervision;
use crate::supervise::readiness::SupervisorProcess;

/// A job whose command is running.
#[derive(Debug)]
pub(crate) struct StartedJob {
    /// The started slot of its record.
    pub record: StartedRecord,
    /// Its output pipes, non-blocking: one, or one for each stream.
    pub pipes: Vec<(OutputStream, PipeReader)>,
    /// The control group of its tree, if there is one.
    pub cgroup: Option<CgroupGuard>,
}

/// Where a job starts.
#[derive(Debug)]
pub(crate) struct Placement {
    /// The process of its supervisor.
    pub supervisor: SupervisorProcess,
    /// The systemd service whose end also ends the job.
    pub service: Option<String>,
    /// The control group for its tree, which does not exist yet.
    pub cgroup: Option<Cgroup>,
}

/// Starts the command of `spec`. It gets the standard input of this process.
///
/// # Errors
/// If it cannot be started. Then the command did not run, and no process is left except perhaps a zombie.
pub(crate) fn start_job(
    spec: &SpecFile,
    supervision: &Supervision,
    placement: Placement,
    streams: Streams,
) -> Result<StartedJob, StartError> {
    let Placement { supervisor, service, cgroup: planned } = placement;
    let Supervision { directory, record, .. } = supervision;
    let plan = ExecPlan::new(&spec.command, &directory.path().join(SCRIPT), &spec.cwd)?;
    let (output, output_writer) = output_pipe()?;
    let (error, error_writer) = match streams {
        Streams::Merged => (None, None),
        Streams::Split => output_pipe().map(|(reader, writer)| (Some(reader), Some(writer)))?,
    };
    let id = |pipe: &PipeReader| pipe.id().map_err(failed("inspect the pipe for its output"));
    let (output_pipe, error_pipe) = (id(&output)?, error.as_ref().map(id).transpose()?);

    let child = fork_behind_gate(&plan, &output_writer, error_writer.as_ref().unwrap_or(&output_writer))
        .map_err(failed("make a process for it"))?;
    drop((output_writer, error_writer));
    crash_point("supervise/forked");

    let started_at_ms = clock::wall_millis();
    let no_proc = || start_error("find its process in /proc", &errors::no_such_process());
    let main = ProcessIdentity::of(child.pid()).ok_or_else(no_proc)?;
    let mut started = StartedRecord {
        main,
        supervisor: supervisor.identity.ok_or_else(no_proc)?,
        run_by: supervisor.run_by.map_err(failed("find out where it runs"))?,
        started_at_ms,
        output_pipe,
        error_pipe,
        cgroup: planned.as_ref().map(|group| group.path().to_string_lossy().into_owned()),
        decided: None,
        service,
        ended: None,
    };
    // Record before the group is created: after a crash, recovery then knows which group to remove.
    record.write_started(&started).map_err(failed("record its process"))?;
    crash_point("supervise/started_recorded");
    let cgroup = planned.and_then(|group| group.create_for(child.pid()).ok());
    if cgroup.is_none() && started.cgroup.take().is_some() {
        record.write_started(&started).map_err(failed("record its process"))?;
    }
    crash_point("supervise/grouped");

    match child.open() {
        Ok(()) => {
            let error = error.map(|pipe| (OutputStream::Error, pipe));
            let pipes = [(OutputStream::Output, output)].into_iter().chain(error).collect();
            Ok(StartedJob { record: started, pipes, cgroup })
        }
        Err((step, error)) => Err(describe(spec, step, &error)),
    }
}

/// Creates a pipe for the output of the job. Only its reading end does not wait.
fn output_pipe() -> Result<(PipeReader, PipeWriter), StartError> {
    let (reader, writer) = pipe().map_err(failed("make a pipe for its output"))?;
    reader.set_nonblocking().map_err(failed("prepare the pipe for its output"))?;
    Ok((reader, writer))
}

fn describe(spec: &SpecFile, step: StartStep, error: &io::Error) -> StartError {
    match step {
        StartStep::ChangeDirectory => start_error(&format!("go to {}", spec.cwd.display()), error),
        StartStep::Execute => {
            let program = match &spec.command {
                JobCommand::Script(_) => "a shell",
                JobCommand::Argv(words) => words[0].as_str(),
            };
            start_error(&format!("run {program}"), error)
        }
    }
}

fn start_error(action: &str, error: &io::Error) -> StartError {
    let reason = error.to_string();
    // "No such file or directory (os error 2)": the number has a field of its own.
    let reason = reason.split(" (os error").next().unwrap_or(&reason);
    StartError { message: format!("cannot {action}: {reason}"), errno: error.raw_os_error() }
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| start_error(action, &error)
}
