//! Launches a job on an executor. The job exists at home before the executor is asked, and its key makes the request safe to
//! repeat. If no answer comes, the mirror finds out what became of it.

use std::time::{Duration, Instant};

use homing_core::JobKey;
use homing_supervisor::layout::notify_change;
use homing_supervisor::{FinishedRecord, StartedRecord, crash_point};

use super::connection::Connection;
use super::health::copied_program;
use super::protocol::{Answer, LaunchRequest, Request};
use super::record::HomeRecord;
use crate::context::Context;
use crate::store::keyed::{Keyed, ToStart};
use crate::store::launch::Launched;
use crate::store::observe::observe;
use crate::store::prepare::{Prepared, random_id};
use crate::store::spec::JobSpec;
use crate::{Error, Result};

/// How long an executor may take to start a job.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// For how long an unanswered launch is repeated.
const REPEAT_FOR: Duration = Duration::from_secs(20);

/// The pause between two attempts.
const REPEAT_PAUSE: Duration = Duration::from_millis(500);

/// What the executor answered: the job runs, or has already ended.
struct Answered {
    started: Option<StartedRecord>,
    finished: Option<FinishedRecord>,
}

impl Context {
    /// Launches a job on the executor that the request names. If the executor has not answered, the job is still starting.
    ///
    /// # Errors
    /// If the executor cannot be reached or refuses the job. Then there is no job.
    pub(crate) fn launch_on(&self, executor: &str, request: &JobSpec) -> Result<Launched> {
        self.executor(executor)?;
        let key = match &request.key {
            Some(key) => key.clone(),
            None => format!("executor-{}", random_id()?).parse()?,
        };
        let request = JobSpec { key: Some(key.clone()), ..request.clone() };
        let to_start = match self.store.prepare_for_executor(&request, &key)? {
            Keyed::Known(job) => return Ok(Launched::Before(job)),
            Keyed::ToStart(to_start) => *to_start,
        };
        let ToStart { prepared, is_new, _launcher } = to_start;
        let id = prepared.spec.id;
        match self.start_there(executor, &prepared, &key, &request) {
            Ok(()) => {}
            Err(error) => {
                if is_new {
                    self.store.withdraw(prepared);
                }
                return Err(error);
            }
        }
        // The job runs: what fails now is made up for by the next mirror or monitor.
        let _ = notify_change(&self.store.home.inbox, id);
        if let Err(error) = self.start_mirror_if_needed(executor) {
            tracing::warn!(%executor, %error, "no mirror was started");
        }
        let seen = observe(&self.store.home.jobs, id, self.store.here()?)?;
        let job = seen.ok_or_else(|| Error::NoSuchJob(id.to_string()))?.into_job();
        Ok(Launched::Now(Box::new(job), None))
    }

    /// Asks the executor to start a job that is on disk, and records its start.
    ///
    /// # Errors
    /// If the job does not run there.
    fn start_there(
        &self,
        executor: &str,
        prepared: &Prepared,
        key: &JobKey,
        request: &JobSpec,
    ) -> Result<()> {
        // While it is held, the mirror leaves the job alone.
        let record = HomeRecord::try_open(&prepared.directory)?;
        self.store.make_durable(&prepared.directory, &prepared.written)?;
        crash_point("executor/durable");
        let launch = LaunchRequest::of(&prepared.spec, key, &request.environment);
        let launch = self.ask_to_launch(executor, &Request::Launch(Box::new(launch)))?;
        crash_point("executor/launched");
        if let (Some(Answered { started, finished }), Some(record)) = (launch, &record) {
            // If this fails, the mirror records it.
            if let Some(started) = &started {
                let _ = record.write_started(started);
            }
            // Only an end without output is complete.
            if let Some(finished) = finished.filter(|finished| finished.output_total_bytes == 0) {
                let _ = record.write_finished(&finished);
            }
        }
        Ok(())
    }

    /// Sends a launch until it is answered. `None` if it is unknown whether it arrived; a request that cannot have arrived fails.
    fn ask_to_launch(&self, executor: &str, request: &Request) -> Result<Option<Answered>> {
        let until = Instant::now() + REPEAT_FOR;
        let mut may_have_arrived = false;
        loop {
            let mut was_sent = false;
            let answered = self.connect(executor).and_then(|mut connection| {
                was_sent = true;
                connection.call(request, ANSWER_TIMEOUT)
            });
            match answered.map(|frame| frame.answer) {
                Ok(Answer::Launched { started, finished, .. }) => {
                    return Ok(Some(Answered { started, finished }));
                }
                Ok(_) => return Ok(None),
                Err(Error::ExecutorUnreachable { .. }) if was_sent || may_have_arrived => {
                    may_have_arrived = true;
                    if Instant::now() >= until {
                        return Ok(None);
                    }
                    std::thread::sleep(REPEAT_PAUSE);
                }
                // An earlier request may have started it.
                Err(_) if may_have_arrived => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens a connection to an executor.
    pub(crate) fn connect(&self, executor: &str) -> Result<Connection> {
        let copied = copied_program(&self.store.home.root, executor);
        Connection::open(executor, self.executor(executor)?, copied.as_deref())
    }
}
