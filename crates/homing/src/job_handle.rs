//! A handle to one job.

use std::sync::Arc;
use std::time::Duration;

use homing_core::text::RESULT_LIMIT_CHARS;
use homing_core::{Job, JobId, KilledBy};

use crate::Result;
use crate::context::Context;
use crate::jobs::follow::OutputFollower;
use crate::store::wait::WaitFor;

/// A job of an open home: [`Homing::spawn`](crate::Homing::spawn) launches one, [`Homing::job`](crate::Homing::job)
/// finds one. Dropping the handle does not affect the job.
///
/// ```
/// use std::io::Read;
/// # homing::supervise_if_asked();
/// # let folder = tempfile::tempdir()?;
/// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
///
/// let job = homing.spawn(homing::JobSpec::program("echo").arg("hello"))?;
/// let finished = job.wait()?;
/// assert!(finished.outcome().is_some_and(|outcome| outcome.succeeded()));
///
/// let mut output = String::new();
/// job.output()?.read_to_string(&mut output)?;
/// assert_eq!(output, "hello\n");
/// job.acknowledge()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct JobHandle {
    context: Arc<Context>,
    id: JobId,
}

impl JobHandle {
    pub(crate) fn new(context: Arc<Context>, id: JobId) -> JobHandle {
        JobHandle { context, id }
    }

    /// The id of the job.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The current state of the job.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) if it was pruned.
    pub fn get(&self) -> Result<Job> {
        self.context.get(self.id)
    }

    /// Waits until the job has finished. Acknowledges nothing: call [`JobHandle::acknowledge`] after you have read the
    /// result for its session.
    ///
    /// # Errors
    /// As [`JobHandle::get`].
    pub fn wait(&self) -> Result<Job> {
        Ok(self.wait_until(None)?.remove(0))
    }

    /// As [`JobHandle::wait`], for at most `timeout`. `None` if the job has not finished by then.
    ///
    /// # Errors
    /// As [`JobHandle::get`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<Job>> {
        let job = self.wait_until(Some(timeout))?.remove(0);
        Ok(job.outcome().is_some().then_some(job))
    }

    /// Ends the job, and returns when none of its processes is left. If the job has finished already, ends the
    /// processes that it left running.
    ///
    /// # Errors
    /// As [`Homing::kill`](crate::Homing::kill).
    pub fn kill(&self, by: KilledBy) -> Result<Job> {
        Ok(self.context.kill(&[(self.id, by)], None)?.remove(0))
    }

    /// The output from its beginning until the job has finished, to iterate over or to read.
    ///
    /// # Errors
    /// As [`JobHandle::get`], or when the output cannot be read.
    pub fn output(&self) -> Result<OutputFollower> {
        OutputFollower::new(Arc::clone(&self.context), self.id, 0)
    }

    /// What the agent reads about the job: how it ended, its command, and its output within 16,000 characters.
    ///
    /// # Errors
    /// As [`JobHandle::output`].
    pub fn result_text(&self) -> Result<String> {
        self.context.result_text(self.id, RESULT_LIMIT_CHARS)
    }

    /// Acknowledges the result: the session has it, and it is not delivered again.
    ///
    /// # Errors
    /// As [`Homing::acknowledge`](crate::Homing::acknowledge).
    pub fn acknowledge(&self) -> Result<Job> {
        Ok(self.context.acknowledge(&[self.id])?.remove(0))
    }

    fn wait_until(&self, timeout: Option<Duration>) -> Result<Vec<Job>> {
        Ok(self.context.wait(&[self.id], WaitFor::All, timeout, None)?.jobs)
    }
}
