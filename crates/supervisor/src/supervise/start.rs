//! Starts a job: creates a process that waits at a gate, records it, and then lets it execute the command. A command never
//! runs before its process is recorded.

use std::io;

use homing_core::{JobCommand, StartError};

use crate::belongs::is_spared;
use crate::disk::documents::StartedRecord;
use crate::disk::spec::SpecFile;
use crate::failpoints::crash_point;
use crate::platform::events::SupervisorEvents;
use crate::platform::pipe::{self, PipeReader};
use crate::platform::placement::Placement;
use crate::platform::tree::{CommandPlan, JobOutput, JobTree, StartStep, start_gated};
use crate::platform::{clock, errors};
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
    /// Its process tree.
    pub tree: JobTree,
}

/// The supervisor that starts a job.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// Its process.
    pub supervisor: SupervisorProcess,
    /// Where it runs, and the job with it.
    pub placement: &'a Placement,
    /// Reports the end of the job's processes.
    pub events: &'a SupervisorEvents,
}

/// Starts the command of `spec`. It gets the standard input of this process.
///
/// # Errors
/// If it cannot be started. Then the command did not run, and no process is left except perhaps a zombie.
pub(crate) fn start_job(
    spec: &SpecFile,
    supervision: &Supervision,
    origin: Origin<'_>,
    streams: Streams,
) -> Result<StartedJob, StartError> {
    let Origin { supervisor, placement, events } = origin;
    let Supervision { directory, record, .. } = supervision;
    let script = directory.path().join(spec.shell.script_name());
    let plan = CommandPlan::new(&spec.command, spec.shell, &script, &spec.cwd)?;
    let no_pipe = failed("make a pipe for its output");
    let (output, output_writer) = pipe::from_program().map_err(&no_pipe)?;
    let (error, error_writer) = match streams {
        Streams::Merged => (None, None),
        Streams::Split => {
            pipe::from_program().map(|(end, writer)| (Some(end), Some(writer))).map_err(no_pipe)?
        }
    };
    let id = |pipe: &PipeReader| pipe.id().map_err(failed("inspect the pipe for its output"));
    let (output_pipe, error_pipe) = (id(&output)?, error.as_ref().map(id).transpose()?);

    let writers = JobOutput { output: output_writer, error: error_writer };
    let mut gated =
        start_gated(&plan, spec.id, placement, events, writers).map_err(failed("make a process for it"))?;
    crash_point("supervise/forked");

    let started_at_ms = clock::wall_millis();
    let no_proc = || start_error("find its process in /proc", &errors::no_such_process());
    let main = gated.main().ok_or_else(no_proc)?;
    let mut started = StartedRecord {
        main,
        supervisor: supervisor.identity.ok_or_else(no_proc)?,
        run_by: supervisor.run_by.map_err(failed("find out where it runs"))?,
        started_at_ms,
        output_pipe,
        error_pipe,
        group: gated.group_name(),
        decided: None,
        service: placement.service(),
        ended: None,
    };
    // Record before the group is created: after a crash, recovery then knows which group to remove.
    record.write_started(&started).map_err(failed("record its process"))?;
    crash_point("supervise/started_recorded");
    if !gated.enter_group() && started.group.take().is_some() {
        record.write_started(&started).map_err(failed("record its process"))?;
    }
    crash_point("supervise/grouped");

    match gated.open(is_spared) {
        Ok(tree) => {
            let error = error.map(|pipe| (OutputStream::Error, pipe));
            let pipes = [(OutputStream::Output, output)].into_iter().chain(error).collect();
            Ok(StartedJob { record: started, pipes, tree })
        }
        Err((step, error)) => Err(describe(spec, step, &error)),
    }
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
