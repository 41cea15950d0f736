//! Finds where the last lines of an output begin, reading it backwards.

use homing::{Homing, JobId, OutputChunk};

/// Bytes that are read before they are searched.
const PIECE: u64 = 64 << 10;

/// The offset of the first of the last `lines` lines of the output so far. A line that is not complete counts. If fewer
/// lines were kept without a gap, the offset where these begin.
pub(super) fn offset_of_last_lines(homing: &Homing, id: JobId, lines: u64) -> homing::Result<u64> {
    let end = homing.output_end(id)?;
    if lines == 0 {
        return Ok(end);
    }
    let mut found = 0;
    let mut position = end;
    while position > 0 {
        let start = position.saturating_sub(PIECE);
        let mut expected_end = position;
        for chunk in read(homing, id, start, position)?.iter().rev() {
            if chunk.end() < expected_end {
                // Bytes between this chunk and the next one were not kept.
                return Ok(expected_end);
            }
            for (index, _) in chunk.bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
                let next_line = chunk.offset + index as u64 + 1;
                // A line feed at the very end belongs to the last line.
                found += u64::from(next_line < end);
                if found == lines {
                    return Ok(next_line);
                }
            }
            expected_end = chunk.offset;
        }
        if expected_end > start {
            return Ok(expected_end);
        }
        position = start;
    }
    Ok(0)
}

/// The kept bytes between two offsets, as chunks without gaps.
fn read(homing: &Homing, id: JobId, start: u64, end: u64) -> homing::Result<Vec<OutputChunk>> {
    let mut chunks = Vec::new();
    let mut next = start;
    while next < end {
        let mut chunk = homing.output(id, next, usize::try_from(end - next).unwrap_or(usize::MAX))?;
        // A chunk behind a gap may reach beyond the end.
        let kept = usize::try_from(end.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
        chunk.bytes.truncate(kept);
        if chunk.bytes.is_empty() {
            break;
        }
        next = chunk.end();
        chunks.push(chunk);
    }
    Ok(chunks)
}
