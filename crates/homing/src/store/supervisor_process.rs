//! Starts the supervisor of a job: a program, or the fork that this process has made before.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use homing_supervisor::platform::pipe::{PipeReader, PipeWriter, pipe};
use homing_supervisor::platform::spawn::{
    DetachedError, DetachedInput, DetachedProgram, start, this_program,
};
use homing_supervisor::{
    ATTACHED_ARGUMENT, JOB_VARIABLE, LATE_ARGUMENT, PROCESS_NAME, SPLIT_ARGUMENT, SUPERVISE_ARGUMENT,
    SpecFile, Start, Streams, SuperviseRequest,
};

use crate::harness::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE};
use crate::store::home::HOME_VARIABLE;
use crate::store::job_store::JobStore;
use crate::store::preforked;
use crate::store::spec::JobSpec;
use crate::store::started::StartedProcess;

/// A supervisor that was started.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) process: StartedProcess,
    /// The pipe with its answer. An attached launcher then reads there which stream the bytes came from.
    pub(crate) answer: PipeReader,
    /// The pipe for reports of how far an attached launcher has read.
    pub(crate) progress: Option<PipeWriter>,
}

/// How a supervisor is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SupervisorPlan<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// The request of the caller.
    pub(crate) request: &'a JobSpec,
    pub(crate) start: Start,
}

impl JobStore {
    /// Starts the supervisor of a job that is on disk. If this process has forked one before and `plan` is for the same
    /// program, that one supervises the job.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start_supervisor(
        &self,
        plan: SupervisorPlan<'_>,
        spec: &SpecFile,
    ) -> io::Result<Supervisor> {
        let directory = self.home.jobs.path().join(spec.id.as_str());
        let variables = self.variables(plan, spec);
        let needs_descriptors = plan.request.attached.is_some() || plan.request.inherits_stdin;
        if plan.program != this_program() || self.is_detached() || needs_descriptors {
            self.dismiss_preforked();
        }
        if let Some(preforked) = preforked::take() {
            let request =
                SuperviseRequest { directory: &directory, start: plan.start, variables: &variables };
            match preforked.supervise(&request) {
                Ok((process, answer)) => {
                    return Ok(Supervisor { process: StartedProcess::Fork(process), answer, progress: None });
                }
                // It has died before it received the request. Start another one.
                Err(process) => self.keep_child_unawaited(StartedProcess::Fork(process)),
            }
        }
        self.spawn(plan, &directory, &variables)
    }

    /// Lets the supervisor exit that this process has forked before, if it has no job.
    pub(crate) fn dismiss_preforked(&self) {
        if let Some(preforked) = preforked::take() {
            self.keep_child_unawaited(StartedProcess::Fork(preforked.dismiss()));
        }
    }

    /// The changes of the environment for the supervisor and the job, in this order. `None` removes a variable.
    fn variables<'a>(
        &'a self,
        plan: SupervisorPlan<'a>,
        spec: &'a SpecFile,
    ) -> Vec<(&'a str, Option<&'a OsStr>)> {
        let SpecFile { id, session, harness, .. } = spec;
        // Jobs that the job launches belong to the same home, whichever way the caller named the home.
        let mut variables = vec![(HOME_VARIABLE, Some(self.home.root.path().as_os_str()))];
        variables.extend(
            plan.request.environment.iter().map(|(name, value)| (name.as_str(), Some(OsStr::new(value)))),
        );
        variables.extend([
            (JOB_VARIABLE, Some(OsStr::new(id.as_str()))),
            (SESSION_VARIABLE, Some(OsStr::new(session.as_str()))),
            (HARNESS_VARIABLE, Some(OsStr::new(harness.as_deref().unwrap_or_default()))),
            // When a resumed agent exceeds its timeout, marked processes are ended. Its jobs keep running.
            (WAKE_VARIABLE, None),
        ]);
        variables
    }

    fn spawn(
        &self,
        plan: SupervisorPlan<'_>,
        directory: &Path,
        variables: &[(&str, Option<&OsStr>)],
    ) -> io::Result<Supervisor> {
        let (answer, answer_writer) = pipe()?;
        let (reports, progress) = match plan.request.attached {
            Some(_) => pipe().map(|(reader, writer)| (Some(reader), Some(writer)))?,
            None => (None, None),
        };
        let mut arguments = vec![OsStr::new(SUPERVISE_ARGUMENT), directory.as_os_str()];
        let late = (plan.start == Start::Late).then_some(LATE_ARGUMENT);
        let attached = plan.request.attached.map(|streams| match streams {
            Streams::Merged => ATTACHED_ARGUMENT,
            Streams::Split => SPLIT_ARGUMENT,
        });
        let optional = [late, attached, self.detached_argument()];
        arguments.extend(optional.into_iter().flatten().map(OsStr::new));
        let process = start(DetachedProgram {
            program: plan.program,
            name: PROCESS_NAME,
            arguments: &arguments,
            variables,
            stdin: if plan.request.inherits_stdin { DetachedInput::Inherited } else { DetachedInput::Null },
            stdout: Some(answer_writer),
            stderr: reports.map_or(DetachedError::Null, DetachedError::Reports),
        })?;
        Ok(Supervisor { process: StartedProcess::Program(process), answer, progress })
    }
}
