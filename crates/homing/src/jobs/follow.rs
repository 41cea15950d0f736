//! Follows a job's output while it is written.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use homing_core::JobId;
use homing_supervisor::output::{OutputChunk, OutputReader};
use homing_supervisor::platform::pipe::PipeReader;
use homing_supervisor::platform::wait::{AsWaitSource, WaitEnd, WaitSource, wait};
use homing_supervisor::{ANSWER, OutputStream, Segment, report_progress};

use crate::Result;
use crate::context::Context;
use crate::executor::OutputThere;
use crate::store::launch::Attachment;
use crate::store::watcher::Watcher;

/// The output of a job while it is written.
///
/// As an [`Iterator`], it waits for each piece, and ends when the job has finished. As a [`Read`], it does the same
/// with bytes. Bytes that were not kept are left out: compare [`OutputChunk::offset`] with the end of the piece before.
///
/// ```
/// use std::io::{BufRead, BufReader};
/// # homing::supervise_if_asked();
/// # let folder = tempfile::tempdir()?;
/// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
///
/// let job = homing.launch(homing::JobSpec::script("echo one; echo two")?)?;
/// let lines: Vec<String> = BufReader::new(homing.follow(job.id, 0)?).lines().collect::<Result<_, _>>()?;
/// assert_eq!(lines, ["one", "two"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OutputFollower {
    context: Arc<Context>,
    id: JobId,
    reader: Option<OutputReader>,
    watcher: Watcher,
    from: u64,
    is_finished: bool,
    /// Bytes before `from` that [`Read`] has not returned yet.
    unread: VecDeque<u8>,
    /// Whether the iterator has returned an error. It ends then.
    has_failed: bool,
    /// The pipes to the supervisor, if this follower is attached to the job.
    attachment: Option<Attachment>,
    /// The end of the last report of progress.
    reported: u64,
    /// The segment that contains `from`, or ends there.
    segment: Segment,
    /// Where the job runs, if an executor runs it.
    there: Option<There>,
}

/// The output of a job that an executor runs. A connection that ends is opened again: that is no error of the job.
#[derive(Debug)]
struct There {
    output: Option<OutputThere>,
    /// When to open the next connection.
    open_at: Instant,
}

impl There {
    /// How often an executor is asked for more output.
    const ASK_EVERY: Duration = Duration::from_millis(500);

    /// How long to wait before the next connection.
    const OPEN_EVERY: Duration = Duration::from_secs(5);

    /// Reads what is there; nothing while there is no connection.
    fn read(&mut self, context: &Context, id: JobId, from: u64) -> OutputChunk {
        let nothing = OutputChunk { offset: from, bytes: Vec::new() };
        if self.output.is_none() && Instant::now() >= self.open_at {
            self.open_at = Instant::now() + There::OPEN_EVERY;
            self.output = context.output_there(id).ok().flatten();
        }
        let Some(output) = &mut self.output else { return nothing };
        match output.read(from, OutputFollower::PIECE) {
            Ok((chunk, _)) => chunk,
            Err(_) => {
                self.output = None;
                nothing
            }
        }
    }
}

/// The result of following an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The next bytes.
    Output(OutputChunk),
    /// No bytes yet; the timeout has expired.
    NothingYet,
    /// No more bytes: the job has finished.
    Finished,
}

impl OutputFollower {
    /// The most bytes that are returned at once.
    const PIECE: usize = 256 << 10;

    pub(crate) fn new(context: Arc<Context>, id: JobId, from: u64) -> Result<OutputFollower> {
        // Watch before observing, so that no change in between is missed.
        let watcher = Watcher::new(&context.store.home, &[id]);
        watcher.add_output(id);
        let reader = context.open_output(id)?;
        let runs_there = context.runs_on_executor(id).is_some();
        let there = runs_there.then(|| There { output: None, open_at: Instant::now() });
        Ok(OutputFollower {
            context,
            id,
            reader,
            watcher,
            from,
            is_finished: false,
            unread: VecDeque::new(),
            has_failed: false,
            attachment: None,
            reported: from,
            segment: Segment { end: from, stream: OutputStream::Output },
            there,
        })
    }

    /// Follows a job that this process has just started, from the beginning of its output.
    pub(crate) fn attached(
        context: Arc<Context>,
        id: JobId,
        attachment: Option<Attachment>,
    ) -> Result<OutputFollower> {
        Ok(OutputFollower { attachment, ..OutputFollower::new(context, id, 0)? })
    }

    /// The stream of the bytes that were returned last. [`OutputStream::Output`] unless the job was launched with
    /// [`Streams::Split`](crate::Streams::Split) by this process.
    pub fn stream(&self) -> OutputStream {
        self.segment.stream
    }

    /// Waits for the next piece of output, at most for `timeout`. `None` waits without a time limit.
    ///
    /// # Errors
    /// As [`Homing::output`](crate::Homing::output).
    pub fn next_within(&mut self, timeout: Option<Duration>) -> Result<Followed> {
        if !self.unread.is_empty() {
            let bytes: Vec<u8> = std::mem::take(&mut self.unread).into();
            return Ok(Followed::Output(OutputChunk { offset: self.from - bytes.len() as u64, bytes }));
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.report_progress();
        while let Some(segments) = self.segments() {
            if self.from < self.segment.end {
                let chunk = self.read_segment()?;
                if !chunk.bytes.is_empty() {
                    self.from = chunk.end();
                    return Ok(Followed::Output(chunk));
                }
                // These bytes were dropped.
                self.from = self.segment.end;
                continue;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match wait(&[segments.as_wait_source()], left) {
                Ok(WaitEnd::TimedOut) => return Ok(Followed::NothingYet),
                Ok(WaitEnd::Interrupted) => continue,
                Ok(WaitEnd::Ready) | Err(_) => {}
            }
            if self.attachment.as_ref().is_some_and(|attachment| attachment.is_answer_due) {
                self.take_answer();
                continue;
            }
            match Segment::read(segments) {
                Ok(Some(segment)) => self.segment = segment,
                // The supervisor has finished, or was killed. Nothing is known about the streams of further bytes.
                Ok(None) | Err(_) => {
                    self.attachment = None;
                    self.segment.stream = OutputStream::Output;
                }
            }
        }
        loop {
            // Call this before observing: the changes reported so far are then covered.
            self.watcher.changed();
            // Observe before reading: then all output that the job wrote before its end can be read.
            self.is_finished = self.is_finished || self.context.is_finished(self.id)?;
            if self.is_finished {
                // All of its output is at home.
                self.there = None;
            }
            let chunk = match (&mut self.there, &mut self.reader) {
                (Some(there), _) => there.read(&self.context, self.id, self.from),
                (None, Some(reader)) => reader.read(self.from, Self::PIECE)?,
                (None, None) => OutputChunk::default(),
            };
            if !chunk.bytes.is_empty() {
                self.from = chunk.end();
                return Ok(Followed::Output(chunk));
            }
            if self.is_finished {
                return Ok(Followed::Finished);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Followed::NothingYet);
            }
            let soon = self.there.as_ref().map(|_| There::ASK_EVERY);
            self.watcher.wait(soon.into_iter().chain(left).min());
        }
    }

    fn segments(&self) -> Option<&PipeReader> {
        self.attachment.as_ref()?.segments.as_ref()
    }

    /// Reads the late answer of the supervisor, which comes before the first segment.
    fn take_answer(&mut self) {
        let mut answer = [0; ANSWER.len()];
        let pipe = self.segments();
        let is_answered = pipe.is_some_and(|pipe| pipe.read(&mut answer).is_ok_and(|count| count > 0));
        match &mut self.attachment {
            Some(attachment) if is_answered => attachment.is_answer_due = false,
            _ => self.attachment = None,
        }
    }

    /// Reads the next bytes of the current segment.
    fn read_segment(&mut self) -> Result<OutputChunk> {
        let Some(reader) = &mut self.reader else { return Ok(OutputChunk::default()) };
        let left = usize::try_from(self.segment.end - self.from).unwrap_or(usize::MAX);
        let mut chunk = reader.read(self.from, left.min(Self::PIECE))?;
        // The beginning of the segment may have been dropped.
        let inside = usize::try_from(self.segment.end.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
        chunk.bytes.truncate(inside);
        Ok(chunk)
    }

    /// Reports that all bytes that were returned are used, because the caller asks for more.
    fn report_progress(&mut self) {
        if let Some(attachment) = &self.attachment
            && self.reported < self.from
        {
            report_progress(&attachment.progress, self.from);
            self.reported = self.from;
        }
    }

    /// Becomes readable when more output may be available. An event loop then calls [`OutputFollower::next_within`] with a
    /// timeout of zero until it returns [`Followed::NothingYet`]. `None` if the system has no watch left: then call it
    /// periodically.
    pub fn readable(&self) -> Option<WaitSource<'_>> {
        self.segments().map(AsWaitSource::as_wait_source).or_else(|| self.watcher.readable())
    }
}

impl Iterator for OutputFollower {
    type Item = Result<OutputChunk>;

    fn next(&mut self) -> Option<Result<OutputChunk>> {
        while !self.has_failed {
            match self.next_within(None) {
                Ok(Followed::Output(chunk)) => return Some(Ok(chunk)),
                Ok(Followed::NothingYet) => {}
                Ok(Followed::Finished) => return None,
                Err(error) => {
                    self.has_failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Read for OutputFollower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty()
            && !buffer.is_empty()
            && let Some(chunk) = self.next()
        {
            self.unread = chunk.map_err(io::Error::other)?.bytes.into();
        }
        self.unread.read(buffer)
    }
}
