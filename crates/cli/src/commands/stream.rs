//! Copies the output of a job to a renderer.

use std::time::Duration;

use homing::{Followed, Homing, JobId};

use crate::exit::Failure;
use crate::render::output::OutputSink;

/// Copies the output as it is written, until the job finishes.
pub(super) fn follow(
    homing: &Homing,
    id: JobId,
    from: u64,
    sink: &mut impl OutputSink,
) -> Result<(), Failure> {
    let mut follower = homing.follow(id, from)?;
    while let Followed::Output(chunk) = follower.next_within(None)? {
        sink.write(&chunk)?;
    }
    sink.finish()
}

/// Copies the output written so far.
pub(super) fn copy(homing: &Homing, id: JobId, from: u64, sink: &mut impl OutputSink) -> Result<(), Failure> {
    let end = homing.output_end(id)?;
    let mut follower = homing.follow(id, from)?;
    // Stop at the current end: a job that writes continuously would keep this loop running forever.
    let mut next = from;
    while next < end
        && let Followed::Output(chunk) = follower.next_within(Some(Duration::ZERO))?
    {
        next = chunk.end();
        sink.write(&chunk)?;
    }
    sink.finish()
}
