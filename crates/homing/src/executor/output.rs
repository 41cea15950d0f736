//! Reads the output of a job that still runs on an executor. When it has finished, its output is at home.

use std::time::Duration;

use homing_core::JobId;
use homing_supervisor::output::OutputChunk;

use super::connection::Connection;
use super::protocol::{Answer, Frame, MAX_PIECE_BYTES, Request};
use crate::Result;
use crate::context::Context;

/// How long an executor may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The output of one job on an executor, over one connection.
#[derive(Debug)]
pub(crate) struct OutputThere {
    connection: Connection,
    job: JobId,
}

impl OutputThere {
    /// Reads output from the first offset at or behind `from` that was kept, and the offset behind all output so far.
    ///
    /// # Errors
    /// If the connection has ended, or the program there cannot read it.
    pub(crate) fn read(&mut self, from: u64, limit: usize) -> Result<(OutputChunk, u64)> {
        let limit = (limit as u64).min(MAX_PIECE_BYTES);
        let request = Request::Output { job: self.job, from, limit };
        match self.connection.call(&request, ANSWER_TIMEOUT)? {
            Frame { answer: Answer::Output { offset, end, .. }, bytes } => {
                Ok((OutputChunk { offset, bytes }, end))
            }
            Frame { answer: Answer::Unknown { .. }, .. } => {
                Ok((OutputChunk { offset: from, bytes: Vec::new() }, from))
            }
            _ => Err(self.connection.unexpected()),
        }
    }
}

impl Context {
    /// The executor that runs a job. `None` for any other job, quickly if no executor is configured.
    pub(crate) fn runs_on_executor(&self, job: JobId) -> Option<String> {
        if self.config().executors.is_empty() { None } else { self.executor_of_unfinished(job) }
    }

    /// The output of a job that runs on an executor; `None` for any other job.
    pub(crate) fn output_there(&self, job: JobId) -> Result<Option<OutputThere>> {
        match self.runs_on_executor(job) {
            Some(executor) => Ok(Some(OutputThere { connection: self.connect(&executor)?, job })),
            None => Ok(None),
        }
    }
}
