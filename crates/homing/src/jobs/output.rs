//! A job's output from any offset, and the text that an agent reads.

use std::time::UNIX_EPOCH;

use homing_core::text::{OutputExcerpt, RESULT_LIMIT_CHARS, result_text};
use homing_core::{JobId, Timestamp};
use homing_supervisor::output::{OutputChunk, OutputReader};

use crate::Result;
use crate::context::Context;
use crate::framing::with_nonce;
use crate::store::output::excerpt;

impl Context {
    /// Reads at most `limit` bytes of a job's output, from the first offset at or behind `from` that was kept.
    pub(crate) fn output(&self, id: JobId, from: u64, limit: usize) -> Result<OutputChunk> {
        if let Some(mut there) = self.output_there(id)? {
            return Ok(there.read(from, limit)?.0);
        }
        match self.open_output(id)? {
            Some(mut reader) => Ok(reader.read(from, limit)?),
            None => Ok(OutputChunk { offset: from, bytes: Vec::new() }),
        }
    }

    /// Returns the offset behind the last byte of output.
    pub(crate) fn output_end(&self, id: JobId) -> Result<u64> {
        if let Some(mut there) = self.output_there(id)? {
            return Ok(there.read(u64::MAX, 0)?.1);
        }
        Ok(self.open_output(id)?.map_or(Ok(0), |mut reader| reader.end())?)
    }

    /// When a job last wrote output; `None` if it has no output.
    pub(crate) fn last_output_at(&self, id: JobId) -> Result<Option<Timestamp>> {
        let last = self.open_output(id)?.map_or(Ok(None), |mut reader| reader.last_write())?;
        let since_epoch = last.and_then(|last| last.duration_since(UNIX_EPOCH).ok());
        Ok(since_epoch.map(|since| Timestamp::from_unix_millis(0).saturating_add(since)))
    }

    /// What the agent reads about a job, within `limit_chars` characters.
    pub(crate) fn result_text(&self, id: JobId, limit_chars: usize) -> Result<String> {
        let job = self.get(id)?;
        let (excerpt, limit) = (self.excerpt(id)?, limit_chars.min(RESULT_LIMIT_CHARS));
        with_nonce(|nonce| result_text(&job, &excerpt, limit, nonce))
    }

    /// The parts of a job's output that a text about it may show; empty if its directory is gone.
    pub(crate) fn excerpt(&self, id: JobId) -> Result<OutputExcerpt> {
        match self.open_output(id)? {
            Some(mut reader) => Ok(excerpt(&mut reader)?),
            None => Ok(OutputExcerpt::default()),
        }
    }

    /// The output of a job; `None` if its directory is gone and only the ledger knows it.
    pub(super) fn open_output(&self, id: JobId) -> Result<Option<OutputReader>> {
        match self.store.open_output(id)? {
            Some(reader) => Ok(Some(reader)),
            None => self.get(id).map(|_| None),
        }
    }
}
