//! Asks executors to end jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use homing_core::{JobId, KilledBy, Outcome};
use homing_supervisor::SpecFile;
use homing_supervisor::layout::notify_change;

use super::protocol::{Answer, Request};
use super::record::HomeRecord;
use crate::context::Context;
use crate::{Error, Result};

/// How long an executor may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

impl Context {
    /// Asks the executors of those of these unfinished jobs that run on one to end them. Opens one connection for each executor.
    ///
    /// # Errors
    /// If an executor cannot be reached or refuses: then nothing was ended there.
    pub(crate) fn ask_executors_to_kill(&self, jobs: &[(SpecFile, KilledBy)]) -> Result<()> {
        let mut by_executor: BTreeMap<&str, Vec<(JobId, KilledBy)>> = BTreeMap::new();
        for (spec, by) in jobs {
            if let Some(executor) = &spec.executor {
                by_executor.entry(executor).or_default().push((spec.id, *by));
            }
        }
        for (executor, jobs) in by_executor {
            let mut connection = self.connect(executor)?;
            for (job, by) in jobs {
                let request = Request::Kill { job, by_session: by == KilledBy::Session };
                match connection.call(&request, ANSWER_TIMEOUT)?.answer {
                    Answer::Asked { .. } => {}
                    Answer::Unknown { .. } => self.end_unstarted(executor, job, by)?,
                    _ => return Err(connection.unexpected()),
                }
            }
            self.start_mirror_if_needed(executor)?;
        }
        Ok(())
    }

    /// The executor of a job that has not finished; `None` for a job of this machine.
    pub(crate) fn executor_of_unfinished(&self, id: JobId) -> Option<String> {
        let directory = self.store.find_job(id).ok()??;
        let executor = SpecFile::read(&directory).ok()??.executor?;
        let is_finished = self.store.is_finished(id).ok()??;
        (!is_finished).then_some(executor)
    }

    /// Ends a job that never reached its executor.
    fn end_unstarted(&self, executor: &str, id: JobId, by: KilledBy) -> Result<()> {
        let Some(directory) = self.store.find_job(id)? else { return Ok(()) };
        let Some(record) = HomeRecord::try_open(&directory)? else {
            return Err(Error::ExecutorRefused {
                executor: executor.to_owned(),
                message: format!("job {id} is just being launched there"),
                hint: Some("try again in a few seconds".to_owned()),
            });
        };
        if !record.is_finished()? {
            record.write_outcome(Outcome::Killed { by })?;
        }
        drop(record);
        Ok(notify_change(&self.store.home.inbox, id)?)
    }
}
