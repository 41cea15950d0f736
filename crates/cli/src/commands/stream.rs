//! Passes a job's output on, from where it is read to where it is rendered.

use std::time::{Duration, Instant};

use homing::{Followed, Homing, JobId};

use crate::exit::Failure;
use crate::render::output::OutputSink;

/// How streaming came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streamed {
    /// The job is over, and all of its output was passed on.
    ToTheEnd,
    /// The time is over.
    TimeIsOver,
}

/// Passes the output on as it is written, until the job is over or the deadline has come.
pub(super) fn follow(
    homing: &Homing,
    id: JobId,
    from: u64,
    deadline: Option<Instant>,
    sink: &mut impl OutputSink,
) -> Result<Streamed, Failure> {
    let mut follower = homing.follow(id, from)?;
    let streamed = loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match follower.next(left)? {
            Followed::Output(chunk) => sink.take(&chunk)?,
            Followed::Over => break Streamed::ToTheEnd,
            Followed::NothingYet => break Streamed::TimeIsOver,
        }
        // A job that never pauses must not outrun the deadline.
        if left.is_some_and(|left| left.is_zero()) {
            break Streamed::TimeIsOver;
        }
    };
    sink.finish()?;
    Ok(streamed)
}

/// Passes on the output that is there by now.
pub(super) fn copy(homing: &Homing, id: JobId, from: u64, sink: &mut impl OutputSink) -> Result<(), Failure> {
    let end = homing.output_end(id)?;
    let mut follower = homing.follow(id, from)?;
    // A job that never pauses must not keep us for ever: what comes now is not asked for.
    let mut next = from;
    while next < end
        && let Followed::Output(chunk) = follower.next(Some(Duration::ZERO))?
    {
        next = chunk.end();
        sink.take(&chunk)?;
    }
    sink.finish()
}
