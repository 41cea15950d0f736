//! Reads a job's output from its directory.

use homing_core::text::{OutputExcerpt, RESULT_LIMIT_CHARS};
use homing_core::{DEFAULT_HEAD_BYTES, Job, JobId, OutputSize, StateName};
use homing_supervisor::output::OutputReader;
use homing_supervisor::{DiskError, SpecFile};

use crate::store::job_store::JobStore;

/// Bytes of output that are read for a result text: four for each character it may have.
const EXCERPT_BYTES: u64 = 4 * RESULT_LIMIT_CHARS as u64;

impl JobStore {
    /// The output of a job; `None` if it has no directory.
    pub(crate) fn open_output(&self, id: JobId) -> Result<Option<OutputReader>, DiskError> {
        let Some(directory) = self.find_job(id)? else { return Ok(None) };
        // If the spec cannot be read, assume the default.
        let spec = SpecFile::read(&directory).ok().flatten();
        let head_bytes = spec.map_or(DEFAULT_HEAD_BYTES, |spec| spec.head_bytes);
        Ok(Some(OutputReader::open(directory)?.with_head_limit(head_bytes)))
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

/// The parts of an output that a text about the job may show.
pub(crate) fn excerpt(reader: &mut OutputReader) -> Result<OutputExcerpt, DiskError> {
    let end = reader.end()?;
    let head = read_up_to(reader, 0, EXCERPT_BYTES)?;
    let head_end = head.len() as u64;
    let tail_start = end.saturating_sub(EXCERPT_BYTES).max(head_end);
    // A gap ends the first piece, and the tail may begin later than requested.
    let first = reader.read(tail_start, 1)?;
    let tail = read_up_to(reader, first.offset, EXCERPT_BYTES)?;
    Ok(OutputExcerpt { head, skipped_bytes: end.saturating_sub(head_end + tail.len() as u64), tail })
}

/// Reads `length` bytes from `from`, fewer if a gap or the end comes first.
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
