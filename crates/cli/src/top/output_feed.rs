//! Reads the output of the job that is shown, from the last part on, as it is written.

use std::time::{Duration, Instant};

use homing::{Followed, Homing, JobId, OutputFollower, Result, WaitSource};

use super::output_lines::OutputLines;
use super::output_view::OutputView;

/// How much output is shown from the beginning, in bytes.
const SHOWN_BYTES: u64 = 256 << 10;

/// How far the view may be behind the job, in bytes, before it skips output.
const MAX_BEHIND: u64 = 8 << 20;

/// How long one step reads.
const STEP: Duration = Duration::from_millis(20);

/// The most bytes among which the beginning of the first line is searched.
const MAX_FIRST_LINE: usize = 4_096;

/// The output of one job.
#[derive(Debug)]
pub(super) struct OutputFeed {
    homing: Homing,
    id: JobId,
    follower: OutputFollower,
}

impl OutputFeed {
    /// Opens the output of a job. Returns the view of its last part, which is still empty.
    ///
    /// # Errors
    /// If the job does not exist, or its output cannot be read.
    pub(super) fn open(homing: &Homing, id: JobId) -> Result<(OutputFeed, OutputView)> {
        let from = last_part(homing, id)?;
        let follower = homing.follow(id, from)?;
        let feed = OutputFeed { homing: homing.clone(), id, follower };
        Ok((feed, OutputView::new(id, OutputLines::starting_at(from))))
    }

    /// Ready when more output may be there. `None` if the system has no watch left: then call [`OutputFeed::step`]
    /// periodically.
    pub(super) fn readable(&self) -> Option<WaitSource<'_>> {
        self.follower.readable()
    }

    /// Reads output for a short time. Returns whether there is more.
    ///
    /// # Errors
    /// If the output cannot be read.
    pub(super) fn step(&mut self, view: &mut OutputView) -> Result<bool> {
        let begin = Instant::now();
        loop {
            match self.follower.next_within(Some(Duration::ZERO))? {
                Followed::Output(chunk) => view.lines.push(chunk.offset, &chunk.bytes),
                Followed::NothingYet => return Ok(false),
                Followed::Finished => {
                    view.is_complete = true;
                    return Ok(false);
                }
            }
            if begin.elapsed() >= STEP {
                break;
            }
        }
        if self.homing.output_end(self.id)?.saturating_sub(view.lines.next()) > MAX_BEHIND {
            let from = last_part(&self.homing, self.id)?;
            self.follower = self.homing.follow(self.id, from)?;
            view.lines.skip_to(from);
        }
        Ok(true)
    }
}

/// The offset of the last part of the output, at the beginning of a line if possible.
fn last_part(homing: &Homing, id: JobId) -> Result<u64> {
    let from = homing.output_end(id)?.saturating_sub(SHOWN_BYTES);
    if from == 0 {
        return Ok(0);
    }
    let first = homing.output(id, from, MAX_FIRST_LINE)?;
    let line_end = first.bytes.iter().position(|byte| *byte == b'\n');
    Ok(line_end.map_or(from, |line_end| first.offset + line_end as u64 + 1))
}
