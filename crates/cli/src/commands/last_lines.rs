//! Finds where the last lines of an output begin, reading it backwards.

use homing::{Homing, JobId};

/// Bytes that are read at once.
const PIECE: u64 = 64 << 10;

/// The offset of the first of the last `lines` lines of the output so far. A line that is not complete counts. If fewer
/// lines were kept without a gap, the offset where they begin.
pub(super) fn offset_of_last_lines(homing: &Homing, id: JobId, lines: u64) -> homing::Result<u64> {
    let end = homing.output_end(id)?;
    if lines == 0 {
        return Ok(end);
    }
    let mut found = 0;
    let mut position = end;
    while position > 0 {
        let start = position.saturating_sub(PIECE);
        let length = usize::try_from(position - start).unwrap_or(usize::MAX);
        let chunk = homing.output(id, start, length)?;
        // Bytes that were written meanwhile do not count. A read may stop early at a gap.
        let kept = usize::try_from(position.saturating_sub(chunk.offset)).unwrap_or(0).min(chunk.bytes.len());
        for index in (0..kept).rev() {
            let offset = chunk.offset + index as u64;
            // A line feed at the very end belongs to the last line.
            if chunk.bytes[index] == b'\n' && offset + 1 < end {
                found += 1;
                if found == lines {
                    return Ok(offset + 1);
                }
            }
        }
        if chunk.offset > start || chunk.end() < position {
            return Ok(chunk.offset.max(start).min(position));
        }
        position = start;
    }
    Ok(0)
}
