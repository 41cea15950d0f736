//! How a job is launched: it is put on disk, its supervisor is started, and everything that must survive a power cut is
//! synced to disk while the supervisor starts.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use homing_core::{Job, KilledBy};
use homing_supervisor::layout::RECORD;
use homing_supervisor::platform::clock::timespec;
use homing_supervisor::{DETACHED_ARGUMENT, JOB_VARIABLE, LATE_ARGUMENT, SUPERVISE_ARGUMENT, crash_point};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::harness::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE};
use crate::homing::Homing;
use crate::index::recover::RecoverOptions;
use crate::store::keyed::{Keyed, ToStart};
use crate::store::observe::{JobSnapshot, StartKnowledge, SupervisorLiveness, observe};
use crate::store::prepare::Prepared;
use crate::store::program::supervisor_program;
use crate::store::spec::JobSpec;
use crate::{Error, HOME_VARIABLE, Result};

/// How long a launch waits for the supervisor to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the supervisor has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The record says what became of the job.
    Given,
    /// It has died.
    Never,
    /// It lives, and has not answered yet: it was stopped, or the machine is very busy.
    NotYet,
}

impl Homing {
    /// Launches a job and returns as soon as its command runs. From then on its result is delivered, even after crashes.
    ///
    /// If the command cannot be started, the job has finished with the outcome `failed_to_start` and the reason. If the
    /// supervisor does not answer within 10 s, for example because it was stopped, the job is returned as `starting`.
    /// A launch does not use the ledger, so a locked or damaged ledger does not delay it. The exception is a request
    /// with a [key](JobSpec::key) whose job has finished.
    ///
    /// # Errors
    /// When the request is invalid, the disk is full, or no supervisor can be started. Then the command did not run and no
    /// job exists. [`Error::KeyTaken`] if the key belongs to a job that was launched with a different request.
    pub fn launch(&self, spec: JobSpec) -> Result<Job> {
        self.reap_supervisors();
        self.home.check_current()?;
        let program = supervisor_program(self.supervisor.as_deref())?;
        let environment = checked_environment(&spec)?;
        match &spec.key {
            None => self.start(&program, self.prepare(&spec)?, &environment, true),
            Some(key) => match self.prepare_keyed(&spec, key)? {
                Keyed::Known(job) => Ok(*job),
                Keyed::ToStart(to_start) => {
                    let ToStart { prepared, is_new, _launcher } = *to_start;
                    self.start(&program, prepared, &environment, is_new)
                }
            },
        }
    }

    /// Starts the supervisor of a job that is on disk, and returns when it has answered. Where none can be started, a
    /// job that is new is taken back.
    fn start(
        &self,
        program: &Path,
        prepared: Prepared,
        environment: &[(String, String)],
        is_new: bool,
    ) -> Result<Job> {
        let id = prepared.spec.id;
        let supervisor = match self.spawn(program, &prepared, environment, is_new) {
            Ok(supervisor) => supervisor,
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
        let answer = self.await_answer(supervisor);
        let seen = self.what_became_of(prepared, answer)?;
        self.note_service(seen.started.as_ref());
        if let Err(error) = durable {
            // It would not be known after a power cut, so it is not launched.
            let _ = self.request_kill(id, KilledBy::Operator);
            return Err(error.into());
        }
        Ok(seen.into_job())
    }

    /// What the record says once the supervisor has answered, or has died without a word.
    fn what_became_of(&self, prepared: Prepared, answer: Answer) -> Result<JobSnapshot> {
        let Prepared { spec, directory, record, .. } = prepared;
        let content = record.read().map_err(|e| directory.error("read", RECORD, e))?;
        let (started, finished) = (content.started.into_valid(), content.finished.into_valid());
        let supervisor = SupervisorLiveness::Alive;
        match answer {
            // That a process is recorded does not say that it has become the command.
            Answer::NotYet => {
                return Ok(JobSnapshot { spec, started: None, finished, output_kept: 0, supervisor });
            }
            Answer::Given | Answer::Never if started.is_some() || finished.is_some() => {
                return Ok(JobSnapshot { spec, started, finished, output_kept: 0, supervisor });
            }
            Answer::Given => {}
            // This process knows that it is dead; others would have to wait to be sure.
            Answer::Never => {
                self.recover_job(spec.id, StartKnowledge::IsDead, RecoverOptions::default())?;
            }
        }
        observe(&self.home.jobs, spec.id, self.here()?)?.ok_or_else(|| Error::NoSuchJob(spec.id.to_string()))
    }

    /// Waits until the supervisor has something to say, which is in the record then; or until it dies without a word.
    fn await_answer(&self, mut supervisor: Child) -> Answer {
        let limit = homing_supervisor::injected_millis("answer_timeout").unwrap_or(ANSWER_TIMEOUT);
        let answer = match supervisor.stdout.take() {
            Some(pipe) => read_answer(pipe, limit),
            None => Answer::Never,
        };
        if answer == Answer::NotYet {
            // Do not wait for it as `keep` may do: it may be stopped before it has daemonized.
            self.supervisors.lock().unwrap_or_else(PoisonError::into_inner).push(supervisor);
        } else {
            self.keep(supervisor);
        }
        answer
    }

    /// Remembers a started process, to reap it later.
    pub(crate) fn keep(&self, mut started: Child) {
        // A detached supervisor has left a process that ended at once.
        if self.detached && started.wait().is_ok() {
            return;
        }
        self.supervisors.lock().unwrap_or_else(PoisonError::into_inner).push(started);
    }

    fn spawn(
        &self,
        program: &Path,
        prepared: &Prepared,
        environment: &[(String, String)],
        is_new: bool,
    ) -> io::Result<Child> {
        // Without `pre_exec` and the like this is posix_spawn(3), which does not copy the page tables of a large host.
        Command::new(program)
            .arg0("homing")
            .arg(SUPERVISE_ARGUMENT)
            .arg(prepared.directory.path())
            .args((!is_new).then_some(LATE_ARGUMENT))
            .args(self.detached_argument())
            // What the job launches in turn belongs to the same home, however that was named.
            .env(HOME_VARIABLE, self.home_path())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env(JOB_VARIABLE, prepared.spec.id.as_str())
            .env(SESSION_VARIABLE, prepared.spec.session.as_str())
            .env(HARNESS_VARIABLE, prepared.spec.harness.as_deref().unwrap_or_default())
            // When a resumed agent exceeds its timeout, marked processes are ended. Its jobs keep running.
            .env_remove(WAKE_VARIABLE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }

    /// The argument that makes a started process detach from this one, if it should.
    pub(crate) fn detached_argument(&self) -> Option<&'static str> {
        self.detached.then_some(DETACHED_ARGUMENT)
    }
}

fn read_answer(mut pipe: ChildStdout, limit: Duration) -> Answer {
    let give_up_at = Instant::now() + limit;
    loop {
        let left = timespec(give_up_at.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Answer::NotYet,
            Ok(_) => break,
            Err(Errno::INTR) => {}
            // Reading waits as well.
            Err(_) => break,
        }
    }
    if pipe.read_exact(&mut [0]).is_ok() { Answer::Given } else { Answer::Never }
}

fn checked_environment(spec: &JobSpec) -> Result<Vec<(String, String)>> {
    for (name, value) in &spec.environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Error::InvalidRequest(format!(
                "{name:?} is not a valid name or value of an environment variable"
            )));
        }
    }
    Ok(spec.environment.clone())
}
