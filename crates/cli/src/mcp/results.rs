//! What a tool answers about one job: its result, or its state with the end of its output so far.

use homing::core::Timestamp;
use homing::core::text::{FRAME_CHARS, grouped, leftovers_text, shown_output};
use homing::{Homing, Job, frame_untrusted};

use super::excerpt::{ExcerptRequest, excerpt};
use super::words::{self, RunningLine};

/// How much output of a job that has not finished is shown.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    /// Most lines.
    pub(super) lines: usize,
    /// Most characters.
    pub(super) chars: usize,
}

/// Bytes at the end of the output that are searched for these lines.
const RECENT_BYTES: u64 = 32 << 10;

/// Characters reserved for the description in a frame and the lines below it.
const RESERVED_CHARS: usize = 400;

/// Longest line about leftover processes, in characters.
const LEFTOVER_CHARS: usize = 300;

/// The least room for the text about one job, in characters: what it takes without output.
pub(super) const LEAST_CHARS: usize = 200;

/// The result of a finished job in at most `room` characters: how it ended, and its output.
pub(super) fn finished_text(
    homing: &Homing,
    job: &Job,
    is_titled: bool,
    room: usize,
) -> homing::Result<String> {
    let mut text = words::finished_line(job, is_titled).unwrap_or_default();
    text += &leftovers_text(job, LEFTOVER_CHARS);
    let lost = words::advice_about_lost(job);
    let used = text.chars().count() + FRAME_CHARS + RESERVED_CHARS;
    let shown = shown_output(&homing.output_excerpt(job.id)?, room.saturating_sub(used));
    if shown.text.trim().is_empty() {
        text += if job.never_ran() { "" } else { "No output.\n" };
        return Ok(text + lost);
    }
    let (total, omitted) = (grouped(job.output.total_bytes), grouped(shown.omitted_bytes));
    let about = match shown.omitted_bytes {
        0 => String::new(),
        _ => format!("{total} bytes, {omitted} omitted in the middle"),
    };
    text += &frame_untrusted(&shown.text, &about)?;
    if job.output.dropped_bytes > 0 {
        let dropped = grouped(job.output.dropped_bytes);
        text += &format!("{dropped} bytes of output could not be stored because the disk was full.\n");
    }
    if shown.omitted_bytes > 0 {
        let (id, from) = (job.id, shown.omitted_from);
        text += &format!("Omitted part: read_output {{\"job_id\":\"{id}\",\"from_byte\":{from}}}\n");
    }
    Ok(text + lost)
}

/// The state of a job that has not finished.
pub(super) struct Unfinished {
    /// The state, and the last lines of output in a frame.
    pub(super) text: String,
    /// The offset of the first byte of output behind it.
    pub(super) next_byte: u64,
}

/// The state of a job that has not finished, with the end of its output.
pub(super) fn unfinished_text(
    homing: &Homing,
    job: &Job,
    line: RunningLine,
    recent: Recent,
) -> homing::Result<Unfinished> {
    let end = homing.output_end(job.id)?;
    let text = words::running_line(job, RunningLine { last_output: last_output(homing, job), ..line });
    if end == 0 {
        return Ok(Unfinished { text, next_byte: 0 });
    }
    let request = ExcerptRequest {
        from: end.saturating_sub(RECENT_BYTES),
        tail_lines: Some(recent.lines),
        filter: None,
        max_chars: recent.chars,
    };
    let read = excerpt(homing, job, &request)?;
    let is_cut = request.from > 0 || read.is_cut;
    let about = match is_cut {
        true => format!("last {} lines of {} bytes", read.lines, grouped(read.total_bytes)),
        false => String::new(),
    };
    let framed = frame_untrusted(&read.text, &about)?;
    Ok(Unfinished { text: text + &framed, next_byte: read.next })
}

/// When a job last wrote output. Unknown if that cannot be read: the line about the job is shorter then.
pub(super) fn last_output(homing: &Homing, job: &Job) -> Option<Timestamp> {
    homing.last_output_at(job.id).ok().flatten()
}
