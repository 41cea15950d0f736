//! Reads a job's output line by line, with the offset of each line, so that a reader can stop and continue anywhere.

use homing::{Homing, JobId};

/// Bytes per read.
const CHUNK_BYTES: usize = 64 << 10;

/// Longest line, in bytes. A longer one is split.
const MAX_LINE_BYTES: usize = 64 << 10;

/// One line of output.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Offset of its first byte.
    pub(super) start: u64,
    /// Offset after its last byte, including the line feed.
    pub(super) end: u64,
    /// Its bytes, without the line feed.
    pub(super) bytes: Vec<u8>,
    /// Whether the line is complete; otherwise the job may write more of it.
    pub(super) is_complete: bool,
    /// Bytes directly before it that were not kept.
    pub(super) omitted_before: u64,
}

/// The lines that a job had written when reading began, from an offset on. Blocks while it reads.
pub(super) struct Lines<'a> {
    homing: &'a Homing,
    id: JobId,
    /// Where to stop: a job that never pauses must not keep the reader busy forever.
    end: u64,
    read_to: u64,
    emitted_to: u64,
    /// Bytes that were read; those before `used` were returned as lines.
    buffer: Vec<u8>,
    used: usize,
    omitted: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(homing: &'a Homing, id: JobId, from: u64) -> homing::Result<Lines<'a>> {
        let end = homing.output_end(id)?;
        Ok(Lines {
            homing,
            id,
            end,
            read_to: from,
            emitted_to: from,
            buffer: Vec::new(),
            used: 0,
            omitted: 0,
        })
    }

    /// The offset after everything that was written when reading began.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> homing::Result<Option<Line>> {
        let mut searched = 0;
        loop {
            let unused = &self.buffer[self.used..];
            if let Some(at) = unused[searched..].iter().position(|&byte| byte == b'\n') {
                return Ok(Some(self.take(searched + at, 1, true)));
            }
            if unused.len() >= MAX_LINE_BYTES {
                return Ok(Some(self.take(MAX_LINE_BYTES, 0, true)));
            }
            searched = unused.len();
            match self.read_more()? {
                None => {
                    return Ok((searched > 0).then(|| self.take(searched, 0, false)));
                }
                Some(gap) if gap > 0 && searched > 0 => {
                    // A gap ends the line before it.
                    let line = self.take(searched, 0, true);
                    self.omitted = gap;
                    return Ok(Some(line));
                }
                Some(gap) => self.omitted += gap,
            }
        }
    }

    /// Removes a line of `length` bytes and its terminator from the buffer.
    fn take(&mut self, length: usize, line_end: usize, is_complete: bool) -> Line {
        let bytes = self.buffer[self.used..self.used + length].to_vec();
        self.used += length + line_end;
        let omitted_before = std::mem::take(&mut self.omitted);
        let start = self.emitted_to + omitted_before;
        self.emitted_to = start + (length + line_end) as u64;
        Line { start, end: self.emitted_to, bytes, is_complete, omitted_before }
    }

    /// Reads the next chunk. Returns the number of bytes missing before it; `None` at the end.
    fn read_more(&mut self) -> homing::Result<Option<u64>> {
        let left = usize::try_from(self.end.saturating_sub(self.read_to)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let chunk = self.homing.output(self.id, self.read_to, left.min(CHUNK_BYTES))?;
        if chunk.bytes.is_empty() {
            return Ok(None);
        }
        let gap = chunk.offset.saturating_sub(self.read_to);
        self.read_to = chunk.end();
        self.buffer.drain(..std::mem::take(&mut self.used));
        self.buffer.extend_from_slice(&chunk.bytes);
        Ok(Some(gap))
    }
}
