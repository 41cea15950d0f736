//! Copies the output of a job to a renderer.

use std::time::{Duration, Instant};

use homing::{Followed, Homing, JobId};

use crate::exit::Failure;
use crate::render::output::OutputSink;

/// Why streaming ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streamed {
    /// The job has finished, and all of its output was copied.
    Finished,
    /// The deadline has passed.
    TimedOut,
}

/// Copies the output as it is written, until the job finishes or the deadline passes.
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
            Followed::Output(chunk) => sink.write(&chunk)?,
            Followed::Finished => break Streamed::Finished,
            Followed::NothingYet => break Streamed::TimedOut,
        }
        // A job that writes continuously must not delay the deadline.
        if left.is_some_and(|left| left.is_zero()) {
            break Streamed::TimedOut;
        }
    };
    sink.finish()?;
    Ok(streamed)
}

/// Copies the output written so far.
pub(super) fn copy(homing: &Homing, id: JobId, from: u64, sink: &mut impl OutputSink) -> Result<(), Failure> {
    let end = homing.output_end(id)?;
    let mut follower = homing.follow(id, from)?;
    // Stop at the current end: a job that writes continuously would keep this loop running forever.
    let mut next = from;
    while next < end
        && let Followed::Output(chunk) = follower.next(Some(Duration::ZERO))?
    {
        next = chunk.end();
        sink.write(&chunk)?;
    }
    sink.finish()
}
