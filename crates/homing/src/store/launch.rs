//! Launches a job: writes it to disk, starts its supervisor, and syncs everything that must survive a power cut while the
//! supervisor starts.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use homing_core::{Job, KilledBy};
use homing_supervisor::layout::RECORD;
use homing_supervisor::platform::pipe::{PipeReader, PipeWriter, pipe};
use homing_supervisor::platform::spawn::set_name;
use homing_supervisor::platform::wait::{AsWaitSource, is_ready_within};
use homing_supervisor::{
    ATTACHED_ARGUMENT, JOB_VARIABLE, LATE_ARGUMENT, SPLIT_ARGUMENT, SUPERVISE_ARGUMENT, Streams, crash_point,
};

use crate::harness::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE};
use crate::store::job_store::JobStore;
use crate::store::keyed::{Keyed, ToStart};
use crate::store::observe::{JobSnapshot, StartKnowledge, SupervisorLiveness, observe};
use crate::store::prepare::Prepared;
use crate::store::program::supervisor_program;
use crate::store::recover::RecoverOptions;
use crate::store::spec::JobSpec;
use crate::{Error, HOME_VARIABLE, Result};

/// How long a launch waits for the supervisor to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The answer of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It has answered: the state of the job is in the record.
    Given,
    /// It has died without an answer.
    Never,
    /// It is alive and has not answered yet: it was stopped, or the machine is very busy.
    NotYet,
}

/// The pipes between the launcher of a job, which follows the output, and the supervisor. While they are open, the job
/// waits if the launcher does not keep up.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// Reports of how far the launcher has read.
    pub(crate) progress: PipeWriter,
    /// The streams of the bytes, if they are kept apart.
    pub(crate) segments: Option<PipeReader>,
    /// Whether the answer of the supervisor is still due. It comes before the first segment.
    pub(crate) is_answer_due: bool,
}

/// A job that was launched.
#[derive(Debug)]
pub(crate) enum Launched {
    /// By this call.
    Now(Box<Job>, Option<Attachment>),
    /// By an earlier call with the same key. If it has finished, the ledger knows its follow-up.
    Before(Box<Job>),
}

impl JobStore {
    /// Launches a job and returns as soon as its command runs. From then on its result is delivered, even after crashes.
    pub(crate) fn launch(&self, spec: &JobSpec) -> Result<Launched> {
        self.reap_children();
        self.home.check_current()?;
        let program = supervisor_program(self.supervisor.as_deref())?;
        check_environment(spec)?;
        let job = match &spec.key {
            None => self.start(&program, self.prepare(spec)?, spec, true),
            Some(key) => match self.prepare_keyed(spec, key)? {
                Keyed::Known(job) => return Ok(Launched::Before(job)),
                Keyed::ToStart(to_start) => {
                    let ToStart { prepared, is_new, _launcher } = *to_start;
                    self.start(&program, prepared, spec, is_new)
                }
            },
        };
        let (job, attachment) = job?;
        Ok(Launched::Now(Box::new(job), attachment))
    }

    /// Starts the supervisor of a job that is on disk, and returns when it has answered. If it cannot be started, removes
    /// the job if it is new.
    fn start(
        &self,
        program: &Path,
        prepared: Prepared,
        request: &JobSpec,
        is_new: bool,
    ) -> Result<(Job, Option<Attachment>)> {
        let id = prepared.spec.id;
        let (supervisor, progress) = match self.spawn(program, &prepared, request, is_new) {
            Ok(spawned) => spawned,
            Err(source) => {
                if is_new {
                    self.withdraw(&prepared);
                }
                return Err(Error::SupervisorNotStarted { program: program.to_owned(), source });
            }
        };
        crash_point("launch/spawned");
        let durable = self.make_durable(&prepared.directory, &prepared.written);
        crash_point("launch/durable");
        let (answer, pipe) = self.await_answer(supervisor);
        let seen = self.observe_after_answer(prepared, answer)?;
        self.note_service(seen.started.as_ref());
        if let Err(error) = durable {
            // A power cut could remove the job, so the launch fails.
            let _ = self.request_kill(id, KilledBy::Operator, |_| Ok(true));
            return Err(error.into());
        }
        let segments = pipe.filter(|_| request.attached == Some(Streams::Split)).map(PipeReader::from);
        let is_answer_due = answer == Answer::NotYet;
        let attachment = progress.map(|progress| Attachment { progress, segments, is_answer_due });
        Ok((seen.into_job(), attachment))
    }

    /// Returns the state of the job after the supervisor has answered or died.
    fn observe_after_answer(&self, prepared: Prepared, answer: Answer) -> Result<JobSnapshot> {
        let Prepared { spec, directory, record, .. } = prepared;
        let content = record.read().map_err(|e| directory.error("read", RECORD, e))?;
        let (started, finished) = (content.started.into_valid(), content.finished.into_valid());
        let supervisor = SupervisorLiveness::Alive;
        match answer {
            // A recorded process may not have executed the command yet.
            Answer::NotYet => {
                return Ok(JobSnapshot { spec, started: None, finished, output_kept: 0, supervisor });
            }
            Answer::Given | Answer::Never if started.is_some() || finished.is_some() => {
                return Ok(JobSnapshot { spec, started, finished, output_kept: 0, supervisor });
            }
            Answer::Given => {}
            // This process knows that it is dead. Other processes would have to wait for the start deadline.
            Answer::Never => {
                self.recover_job(spec.id, StartKnowledge::IsDead, RecoverOptions::default())?;
            }
        }
        observe(&self.home.jobs, spec.id, self.here()?)?.ok_or_else(|| Error::NoSuchJob(spec.id.to_string()))
    }

    /// Waits until the supervisor has answered or died.
    /// Returns the pipe of the answer too.
    fn await_answer(&self, mut supervisor: Child) -> (Answer, Option<ChildStdout>) {
        let limit = homing_supervisor::injected_millis("answer_timeout").unwrap_or(ANSWER_TIMEOUT);
        let mut pipe = supervisor.stdout.take();
        let answer = pipe.as_mut().map_or(Answer::Never, |pipe| read_answer(pipe, limit));
        if answer == Answer::NotYet {
            // Do not wait for it as `keep_child` may do: it may have been stopped before it detached.
            self.keep_child_unawaited(supervisor);
        } else {
            self.keep_child(supervisor);
        }
        (answer, pipe)
    }

    /// Starts the supervisor. Returns the pipe for reports of progress too, if the launcher follows the output.
    fn spawn(
        &self,
        program: &Path,
        prepared: &Prepared,
        request: &JobSpec,
        is_new: bool,
    ) -> io::Result<(Child, Option<PipeWriter>)> {
        let progress = request.attached.map(|_| pipe()).transpose()?;
        let (reports, progress) =
            progress.map_or((None, None), |(reader, writer)| (Some(reader), Some(writer)));
        // Do not use `pre_exec` or similar: without it, this is posix_spawn(3), which does not copy the page tables of a
        // large host.
        let mut command = Command::new(program);
        set_name(&mut command, "homing")
            .arg(SUPERVISE_ARGUMENT)
            .arg(prepared.directory.path())
            .args((!is_new).then_some(LATE_ARGUMENT))
            .args(request.attached.map(|streams| match streams {
                Streams::Merged => ATTACHED_ARGUMENT,
                Streams::Split => SPLIT_ARGUMENT,
            }))
            .args(self.detached_argument())
            // Jobs that the job launches belong to the same home, whichever way the caller named the home.
            .env(HOME_VARIABLE, self.home.root.path())
            .envs(request.environment.iter().map(|(name, value)| (name, value)))
            .env(JOB_VARIABLE, prepared.spec.id.as_str())
            .env(SESSION_VARIABLE, prepared.spec.session.as_str())
            .env(HARNESS_VARIABLE, prepared.spec.harness.as_deref().unwrap_or_default())
            // When a resumed agent exceeds its timeout, marked processes are ended. Its jobs keep running.
            .env_remove(WAKE_VARIABLE)
            .stdin(if request.inherits_stdin { Stdio::inherit() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(reports.map_or_else(Stdio::null, Stdio::from))
            .spawn()
            .map(|supervisor| (supervisor, progress))
    }
}

fn read_answer(pipe: &mut ChildStdout, limit: Duration) -> Answer {
    // After an error, the read waits instead.
    if let Ok(false) = is_ready_within(pipe.as_wait_source(), limit) {
        return Answer::NotYet;
    }
    if pipe.read_exact(&mut [0]).is_ok() { Answer::Given } else { Answer::Never }
}

fn check_environment(spec: &JobSpec) -> Result<()> {
    for (name, value) in &spec.environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Error::InvalidRequest(format!(
                "{name:?} is not a valid name or value of an environment variable"
            )));
        }
    }
    Ok(())
}
