//! Launches a job: writes it to disk, starts its supervisor, and syncs everything that must survive a power cut while the
//! supervisor starts.

use std::time::Duration;

use homing_core::{Job, JobKey, KilledBy};
use homing_supervisor::layout::RECORD;
use homing_supervisor::platform::pipe::{PipeReader, PipeWriter};
use homing_supervisor::platform::wait::{AsWaitSource, is_ready_within};
use homing_supervisor::{Start, Streams, crash_point};

use crate::store::job_store::JobStore;
use crate::store::keyed::{Keyed, ToStart};
use crate::store::observe::{JobSnapshot, StartKnowledge, SupervisorLiveness, observe};
use crate::store::prepare::Prepared;
use crate::store::program::supervisor_program;
use crate::store::recover::RecoverOptions;
use crate::store::spec::JobSpec;
use crate::store::started::StartedProcess;
use crate::store::supervisor_process::{Supervisor, SupervisorPlan};
use crate::{Error, Result};

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
    Now(Box<Job>, Option<Box<Attachment>>),
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
        spec.check_variables()?;
        let plan = |start| SupervisorPlan { program: &program, request: spec, start };
        let job = match &spec.key {
            None => self.start(plan(Start::InTime), self.prepare(spec)?),
            Some(key) => match self.prepare_keyed(spec, key)? {
                Keyed::Known(job) => {
                    self.dismiss_preforked();
                    return Ok(Launched::Before(job));
                }
                Keyed::ToStart(to_start) => {
                    let ToStart { prepared, is_new, _launcher } = *to_start;
                    let start = if is_new { Start::InTime } else { Start::Late };
                    self.start(plan(start), prepared)
                }
            },
        };
        let (job, attachment) = job?;
        Ok(Launched::Now(Box::new(job), attachment.map(Box::new)))
    }

    /// Finds a job with a key for an executor, or writes it to disk. Starts nothing.
    pub(crate) fn prepare_for_executor(&self, spec: &JobSpec, key: &JobKey) -> Result<Keyed> {
        self.dismiss_preforked();
        self.home.check_current()?;
        check_environment(spec)?;
        spec.check_variables()?;
        if spec.attached.is_some() || spec.inherits_stdin {
            return Err(Error::InvalidRequest(
                "a job on an executor gets no standard input and streams no output; launch it, then follow its output"
                    .to_owned(),
            ));
        }
        self.prepare_keyed(spec, key)
    }

    /// Starts the supervisor of a job that is on disk, and returns when it has answered. If it cannot be started, removes
    /// the job if it is new.
    fn start(&self, plan: SupervisorPlan<'_>, prepared: Prepared) -> Result<(Job, Option<Attachment>)> {
        let id = prepared.spec.id;
        let supervisor = match self.start_supervisor(plan, &prepared.spec) {
            Ok(supervisor) => supervisor,
            Err(source) => {
                if plan.start == Start::InTime {
                    self.withdraw(prepared);
                }
                return Err(Error::SupervisorNotStarted { program: plan.program.to_owned(), source });
            }
        };
        crash_point("launch/spawned");
        prepared.record.start_allocation();
        let durable = self.make_durable(&prepared.directory, &prepared.written);
        crash_point("launch/durable");
        let Supervisor { process, answer: pipe, progress } = supervisor;
        let answer = self.await_answer(process, &pipe);
        let seen = self.observe_after_answer(prepared, answer)?;
        self.note_service(seen.started.as_ref());
        if let Err(error) = durable {
            // A power cut could remove the job, so the launch fails.
            let _ = self.request_kill(id, KilledBy::Operator, |_| Ok(true));
            return Err(error.into());
        }
        let segments = (plan.request.attached == Some(Streams::Split)).then_some(pipe);
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
    fn await_answer(&self, process: StartedProcess, answer: &PipeReader) -> Answer {
        let limit = homing_supervisor::injected_millis("answer_timeout").unwrap_or(ANSWER_TIMEOUT);
        let answer = read_answer(answer, limit);
        if answer == Answer::NotYet {
            // Do not wait for it as `keep_child` may do: it may have been stopped before it detached.
            self.keep_child_unawaited(process);
        } else {
            self.keep_child(process);
        }
        answer
    }
}

fn read_answer(pipe: &PipeReader, limit: Duration) -> Answer {
    // After an error, the read waits instead.
    if let Ok(false) = is_ready_within(pipe.as_wait_source(), limit) {
        return Answer::NotYet;
    }
    if pipe.fill(&mut [0]).is_ok_and(|is_full| is_full) { Answer::Given } else { Answer::Never }
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
