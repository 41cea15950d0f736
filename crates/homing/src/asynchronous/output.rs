//! A job's output as a stream, and the sizes of the outputs of several jobs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use homing_core::{JobId, Timestamp};
use homing_supervisor::output::OutputChunk;

use super::change::Change;
use super::{blocking, step};
use crate::Result;
use crate::context::Context;
use crate::jobs::follow::{Followed, OutputFollower};
use crate::store::watcher::Watcher;
use tokio::time::sleep;

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

/// How much output a job has written: see [`Homing::output_sizes`](crate::Homing::output_sizes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct OutputGrowth {
    /// The job.
    pub job: JobId,
    /// The offset behind the last byte of its output.
    pub total_bytes: u64,
    /// When it last wrote output, by the wall clock; `None` if it has no output.
    pub last_output_at: Option<Timestamp>,
}

/// The shortest time between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Watches the outputs of jobs.
struct OutputSizes {
    context: Arc<Context>,
    watcher: Watcher,
    /// What was reported last.
    known: Vec<(JobId, Option<OutputGrowth>)>,
}

impl OutputSizes {
    fn new(context: Arc<Context>, ids: &[JobId]) -> OutputSizes {
        let watcher = Watcher::new(&context.store.home, &[]);
        ids.iter().for_each(|id| watcher.add_output(*id));
        OutputSizes { context, watcher, known: ids.iter().map(|id| (*id, None)).collect() }
    }

    /// The outputs that have grown since the last call. Leaves out jobs that are deleted.
    fn grown(&mut self) -> Vec<OutputGrowth> {
        // Before the files are read: the changes reported so far are then covered.
        self.watcher.changed();
        let mut grown = Vec::new();
        for (job, known) in &mut self.known {
            let size = self.context.output_end(*job).and_then(|total_bytes| {
                let last_output_at = self.context.last_output_at(*job)?;
                Ok(OutputGrowth { job: *job, total_bytes, last_output_at })
            });
            if let Ok(size) = size
                && known.is_none_or(|known| known.total_bytes != size.total_bytes)
            {
                *known = Some(size);
                grown.push(size);
            }
        }
        grown
    }
}

/// The sizes of the outputs of jobs: all of them first, and later those that have grown, at most once a second. Never ends.
pub(crate) fn output_sizes(
    context: Arc<Context>,
    ids: Vec<JobId>,
) -> impl Stream<Item = Vec<OutputGrowth>> + Send {
    let begin = (context, ids, None);
    stream::unfold(begin, async |(context, ids, state): (_, _, Option<(OutputSizes, Change)>)| {
        let (mut sizes, change) = match state {
            Some((sizes, change)) => {
                sleep(REPORT_EVERY).await;
                (sizes, change)
            }
            None => {
                let (now, all) = (Arc::clone(&context), ids.clone());
                let sizes = blocking(move || OutputSizes::new(now, &all)).await;
                let change = Change::of(sizes.watcher.readable());
                (sizes, change)
            }
        };
        loop {
            let grown;
            (sizes, grown) = blocking(move || {
                let grown = sizes.grown();
                (sizes, grown)
            })
            .await;
            if !grown.is_empty() {
                return Some((grown, (context, ids, Some((sizes, change)))));
            }
            change.wait().await;
        }
    })
}
