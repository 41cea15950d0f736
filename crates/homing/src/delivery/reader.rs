//! Who reads the result of a job: its monitor's sink, or the caller for its own session.

use homing_core::{Job, JobId, SessionId};

use crate::context::Context;
use crate::delivery::hold::DeliveryHold;
use crate::{Error, Result};

/// Who reads the result of a job that was just launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultReader {
    /// The caller waits for the job, or has received its result with the launch ([`Job::never_ran`]), and reads it for
    /// its session.
    Caller,
    /// The session is notified.
    Session,
}

/// How the result of a job is delivered: see [`Homing::arrange_delivery`](crate::Homing::arrange_delivery).
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DeliveryArrangement {
    /// Held while the caller reads the result itself.
    pub hold: Option<DeliveryHold>,
    /// Why no monitor could be started, although the session should be notified.
    pub problem: Option<Error>,
}

/// The result of [`Homing::acknowledge_read`](crate::Homing::acknowledge_read).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadResults {
    /// Jobs that are acknowledged now.
    pub acknowledged: Vec<Job>,
    /// Unread jobs of other sessions. They stay as they are.
    pub of_other_sessions: Vec<Job>,
}

impl Context {
    /// Holds the delivery of a launched job if the caller reads its result, and starts a monitor if one is needed.
    pub(crate) fn arrange_delivery(&self, job: &Job, reader: ResultReader) -> DeliveryArrangement {
        let hold = (reader == ResultReader::Caller).then(|| self.hold_delivery(&[job.id], &job.session));
        // The caller has received the result of a job that never ran.
        let has_result = reader == ResultReader::Caller && job.never_ran();
        let problem = if has_result { None } else { self.start_monitor_if_needed(job).err() };
        DeliveryArrangement { hold, problem }
    }

    /// Acknowledges the results among `jobs` that `reader` has read for itself.
    pub(crate) fn acknowledge_read(&self, jobs: &[Job], reader: &SessionId) -> Result<ReadResults> {
        let unread = jobs.iter().filter(|job| job.is_unread()).cloned();
        let (own, of_other_sessions): (Vec<Job>, Vec<Job>) = unread.partition(|job| job.session == *reader);
        let own: Vec<JobId> = own.iter().map(|job| job.id).collect();
        let acknowledged =
            if own.is_empty() { Vec::new() } else { self.for_session(reader).acknowledge(&own)? };
        Ok(ReadResults { acknowledged, of_other_sessions })
    }
}
