//! What follows from a session having read how its jobs ended: it need not be told again.

use homing::{Homing, Job, JobId, SessionId};

use crate::exit::note;

/// Acknowledges, of jobs that `reader` was just shown, those that are over and its own. Says of the others that their
/// follow-ups stay.
pub(super) fn acknowledge_read(homing: &Homing, reader: &SessionId, jobs: &[Job]) {
    let mut own: Vec<JobId> = Vec::new();
    for job in jobs.iter().filter(|job| job.outcome().is_some() && job.follow_up.state.is_open()) {
        if job.session == *reader {
            own.push(job.id);
        } else {
            let (id, session, state) = (job.id, &job.session, job.follow_up.state);
            note(&format!(
                "job {id} belongs to session {session}; its follow-up stays {state} (homing ack {id} acknowledges it)"
            ));
        }
    }
    if own.is_empty() {
        return;
    }
    // The answer is out and its status stands. The worst that follows is that the session is told once more.
    if let Err(error) = homing.acknowledge(&own) {
        note(&format!("the session will be told again: {error}"));
    }
}
