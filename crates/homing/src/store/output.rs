//! A job's output, from any offset, and the text that an agent reads.

use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use homing_core::text::{OutputExcerpt, RESULT_LIMIT_CHARS, result_text};
use homing_core::{DEFAULT_HEAD_BYTES, Job, JobId, OutputSize, StateName};
use homing_supervisor::output::{OutputChunk, OutputReader};
use homing_supervisor::{DiskError, SpecFile};

use crate::Result;
use crate::framing::with_nonce;
use crate::homing::Homing;
use crate::store::watcher::Watcher;

/// Bytes of output that are read for a result text: four for each character it may have.
const EXCERPT_BYTES: u64 = 4 * RESULT_LIMIT_CHARS as u64;

impl Homing {
    /// Reads at most `limit` bytes of a job's output, from the first offset at or behind `from` that was kept. To go
    /// on, pass [`OutputChunk::end`] as the next `from`.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let job = homing.launch(homing::JobSpec::script("printf 'one two'")?)?;
    /// # homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// let chunk = homing.output(job.id, 4, 100)?;
    /// assert_eq!((chunk.offset, &chunk.bytes[..]), (4, &b"two"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob), or when the output cannot be read. The output of a job whose directory is gone is empty.
    pub fn output(&self, id: JobId, from: u64, limit: usize) -> Result<OutputChunk> {
        match self.open_output(id)? {
            Some(mut reader) => Ok(reader.read(from, limit)?),
            None => Ok(OutputChunk { offset: from, bytes: Vec::new() }),
        }
    }

    /// The offset behind the last byte of output that is there.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn output_end(&self, id: JobId) -> Result<u64> {
        Ok(self.open_output(id)?.map_or(Ok(0), |mut reader| reader.end())?)
    }

    /// Follows a job's output from `from` on, until the job has finished.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn follow(&self, id: JobId, from: u64) -> Result<OutputFollower<&Homing>> {
        OutputFollower::new(self, id, from)
    }

    /// As [`Homing::follow`], for callers that keep the follower longer than a borrow lasts.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn follow_owned(self: &Arc<Homing>, id: JobId, from: u64) -> Result<OutputFollower<Arc<Homing>>> {
        OutputFollower::new(Arc::clone(self), id, from)
    }

    /// What the agent reads about a job: how it ended, its command, and its output within 16,000 characters.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn result_text(&self, id: JobId) -> Result<String> {
        self.result_text_within(id, RESULT_LIMIT_CHARS)
    }

    /// As [`Homing::result_text`], within fewer characters, for several results in one text.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn result_text_within(&self, id: JobId, limit_chars: usize) -> Result<String> {
        let job = self.get(id)?;
        let (excerpt, limit) = (self.excerpt(id)?, limit_chars.min(RESULT_LIMIT_CHARS));
        with_nonce(|nonce| result_text(&job, &excerpt, limit, nonce))
    }

    /// The parts of a job's output that a text about it may show; nothing where its directory is gone.
    pub(crate) fn excerpt(&self, id: JobId) -> Result<OutputExcerpt> {
        match self.open_output(id)? {
            Some(mut reader) => Ok(excerpt(&mut reader)?),
            None => Ok(OutputExcerpt::default()),
        }
    }

    /// The output of a job; `None` where its directory is gone and only the ledger knows it.
    fn open_output(&self, id: JobId) -> Result<Option<OutputReader>> {
        match self.home.jobs.open_job(id) {
            Ok(directory) => {
                // Where the spec cannot be read, nothing is known of the job but what is usual.
                let spec = SpecFile::read(&directory).ok().flatten();
                let head_bytes = spec.map_or(DEFAULT_HEAD_BYTES, |spec| spec.head_bytes);
                Ok(Some(OutputReader::open(directory)?.with_head_limit(head_bytes)))
            }
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => self.get(id).map(|_| None),
            Err(error) => Err(error.into()),
        }
    }

    /// Fills in how many bytes an unfinished job has written so far.
    pub(crate) fn measure_output(&self, job: &mut Job) {
        if job.state.name() == StateName::Finished {
            return;
        }
        let measure = || {
            let mut reader =
                OutputReader::open(self.home.jobs.open_job(job.id)?)?.with_head_limit(job.limits.head_bytes);
            let (total_bytes, kept) = (reader.end()?, reader.kept_bytes()?);
            // The dropped bytes are known when the job has finished.
            let omitted_bytes = total_bytes.saturating_sub(kept);
            Ok::<_, DiskError>(OutputSize { total_bytes, omitted_bytes, dropped_bytes: 0 })
        };
        job.output = measure().unwrap_or_default();
    }
}

fn excerpt(reader: &mut OutputReader) -> Result<OutputExcerpt, DiskError> {
    let end = reader.end()?;
    let head = read_up_to(reader, 0, EXCERPT_BYTES)?;
    let head_end = head.len() as u64;
    let tail_start = end.saturating_sub(EXCERPT_BYTES).max(head_end);
    // Where a gap begins, the first piece ends; the tail may begin later than asked for.
    let first = reader.read(tail_start, 1)?;
    let tail = read_up_to(reader, first.offset, EXCERPT_BYTES)?;
    Ok(OutputExcerpt { head, skipped_bytes: end.saturating_sub(head_end + tail.len() as u64), tail })
}

/// Reads `length` bytes from `from`, fewer where there is a gap or an end.
fn read_up_to(reader: &mut OutputReader, from: u64, length: u64) -> Result<Vec<u8>, DiskError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let at = from + bytes.len() as u64;
        let chunk = reader.read(at, length - bytes.len())?;
        if chunk.bytes.is_empty() || chunk.offset != at {
            break;
        }
        bytes.extend_from_slice(&chunk.bytes);
    }
    Ok(bytes)
}

/// The output of a job as it is written.
#[derive(Debug)]
pub struct OutputFollower<H> {
    homing: H,
    id: JobId,
    reader: Option<OutputReader>,
    watcher: Watcher,
    from: u64,
    is_finished: bool,
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

impl<H: Deref<Target = Homing>> OutputFollower<H> {
    /// The most bytes that are returned at once.
    const PIECE: usize = 256 << 10;

    fn new(homing: H, id: JobId, from: u64) -> Result<OutputFollower<H>> {
        // Watch before observing, so that no change in between is missed.
        let watcher = Watcher::new(&homing.home, &[id]);
        watcher.add_output(id);
        let reader = homing.open_output(id)?;
        Ok(OutputFollower { homing, id, reader, watcher, from, is_finished: false })
    }

    /// Waits for the next piece of output, at most as long as `timeout` says.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Followed> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            // Call this before observing: the changes reported so far are then covered.
            self.watcher.changed();
            // Observe before reading: then all output that the job wrote before its end can be read.
            self.is_finished = self.is_finished || self.job_is_over()?;
            let chunk = match &mut self.reader {
                Some(reader) => reader.read(self.from, Self::PIECE)?,
                None => OutputChunk::default(),
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
            self.watcher.wait(left);
        }
    }

    /// Becomes readable when there may be more, for an event loop that then calls [`OutputFollower::next`] with no time
    /// to wait until that returns [`Followed::NothingYet`]. `None` where the kernel has no more watches to give
    /// (`fs.inotify.max_user_instances`, inotify(7)): then it has to be asked every now and then.
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.readable()
    }

    fn job_is_over(&self) -> Result<bool> {
        self.homing.is_finished(self.id)
    }
}
