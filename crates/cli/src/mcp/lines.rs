//! A job's output line by line, with the offset of each, so that a reader can stop anywhere and go on from there.

use homing::{Homing, JobId};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// Longest line that is kept together, in bytes. A longer one comes in pieces.
const MOST_LINE: usize = 64 << 10;

/// One line of output, or what stands for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Offset of its first byte.
    pub(super) start: u64,
    /// Offset behind its last byte, the line feed included.
    pub(super) end: u64,
    /// Its bytes, without the line feed.
    pub(super) bytes: Vec<u8>,
    /// Whether it is done; if not, more of it may come.
    pub(super) is_complete: bool,
    /// Bytes right before it that were not kept.
    pub(super) omitted_before: u64,
}

/// The lines of an output from an offset on, as far as it has been written. Blocks while it reads.
pub(super) struct Lines<'a> {
    homing: &'a Homing,
    id: JobId,
    /// Where to stop: a job that never pauses must not keep us for ever.
    end: u64,
    read_to: u64,
    taken_to: u64,
    /// What has been read; up to `used`, it is in lines already.
    buffer: Vec<u8>,
    used: usize,
    omitted: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(homing: &'a Homing, id: JobId, from: u64) -> homing::Result<Lines<'a>> {
        let end = homing.output_end(id)?;
        Ok(Lines { homing, id, end, read_to: from, taken_to: from, buffer: Vec::new(), used: 0, omitted: 0 })
    }

    /// The offset behind everything that had been written when reading began.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The next line; `None` at the end of what is there.
    pub(super) fn next(&mut self) -> homing::Result<Option<Line>> {
        let mut searched = 0;
        loop {
            let unused = &self.buffer[self.used..];
            if let Some(at) = unused[searched..].iter().position(|&byte| byte == b'\n') {
                return Ok(Some(self.take(searched + at, 1, true)));
            }
            if unused.len() >= MOST_LINE {
                return Ok(Some(self.take(MOST_LINE, 0, true)));
            }
            searched = unused.len();
            match self.read_more()? {
                None => {
                    return Ok((searched > 0).then(|| self.take(searched, 0, false)));
                }
                Some(gap) if gap > 0 && searched > 0 => {
                    // What comes behind a gap is no part of the line before it.
                    let line = self.take(searched, 0, true);
                    self.omitted = gap;
                    return Ok(Some(line));
                }
                Some(gap) => self.omitted += gap,
            }
        }
    }

    /// Takes `length` bytes and what ends them out of the buffer.
    fn take(&mut self, length: usize, line_end: usize, is_complete: bool) -> Line {
        let bytes = self.buffer[self.used..self.used + length].to_vec();
        self.used += length + line_end;
        let omitted_before = std::mem::take(&mut self.omitted);
        let start = self.taken_to + omitted_before;
        self.taken_to = start + (length + line_end) as u64;
        Line { start, end: self.taken_to, bytes, is_complete, omitted_before }
    }

    /// Reads a piece more; answers how many bytes are missing before it, or that there is none.
    fn read_more(&mut self) -> homing::Result<Option<u64>> {
        let left = usize::try_from(self.end.saturating_sub(self.read_to)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let chunk = self.homing.output(self.id, self.read_to, left.min(PIECE))?;
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
