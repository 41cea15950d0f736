//! Acknowledges results that a session has read, so that they are not delivered again.

use homing::{Homing, Job, SessionId};

use crate::render::note;

/// Acknowledges the results of finished jobs that belong to `reader`, which has just read them. Notes on standard
/// error that the follow-ups of other sessions stay as they are.
pub(super) fn acknowledge_read(homing: &Homing, reader: &SessionId, jobs: &[Job]) {
    match homing.acknowledge_read(jobs, reader) {
        Ok(read) => {
            for job in read.of_other_sessions {
                let (id, session, state) = (job.id, &job.session, job.follow_up.state);
                note(&format!(
                    "job {id} belongs to session {session}; its follow-up stays {state} (run homing ack {id} to acknowledge it)"
                ));
            }
        }
        // The answer is already printed, so this must not change the exit status. At worst, the result is delivered
        // once more.
        Err(error) => note(&format!("cannot acknowledge the result, so it will be delivered again: {error}")),
    }
}
