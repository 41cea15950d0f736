//! A job's output as a stream.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use homing_core::JobId;
use homing_supervisor::output::OutputChunk;

use super::change::Change;
use super::step;
use crate::Result;
use crate::context::Context;
use crate::jobs::follow::{Followed, OutputFollower};

/// The output of a job from `from` on. Ends when the job has finished.
pub(crate) fn output_stream(
    context: Arc<Context>,
    id: JobId,
    from: u64,
) -> Result<impl Stream<Item = Result<OutputChunk>> + Send> {
    let follower = OutputFollower::new(context, id, from)?;
    let change = Change::of(follower.readable());
    Ok(stream::try_unfold((follower, change), async |(mut follower, change)| {
        loop {
            let next;
            (follower, next) = step(follower, |follower| follower.next_within(Some(Duration::ZERO))).await?;
            match next {
                Followed::Output(chunk) => return Ok(Some((chunk, (follower, change)))),
                Followed::Finished => return Ok(None),
                Followed::NothingYet => change.wait().await,
            }
        }
    }))
}
