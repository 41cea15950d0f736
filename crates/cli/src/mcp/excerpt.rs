//! A part of a job's output that fits into an answer. Reports what was omitted and the offset to continue from.

use std::collections::VecDeque;

use homing::core::text::{clean, grouped, omission};
use homing::{Homing, Job};
use regex_lite::Regex;

use super::lines::{Line, Lines};

/// Most bytes of output that one call reads.
const MAX_BYTES: u64 = 16 << 20;

/// Which part of the output to read.
pub(super) struct ExcerptRequest {
    pub(super) from: u64,
    /// Only this many of the last lines, from `from` on.
    pub(super) tail_lines: Option<usize>,
    /// Only lines that match.
    pub(super) filter: Option<Regex>,
    /// Most characters, including the marks for omitted text.
    pub(super) max_chars: usize,
}

/// The part that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// Number of lines in the text.
    pub(super) lines: usize,
    /// Whether lines before the text were left out to keep the last ones only.
    pub(super) is_cut: bool,
    /// Offset of the first line in the text; where reading began if there is none.
    pub(super) first: u64,
    /// Offset behind the text.
    pub(super) last: u64,
    /// Offset to continue from: `last`, or the beginning of a last line that is not complete.
    pub(super) next: u64,
    /// Whether more output is available now.
    pub(super) more: bool,
    /// Bytes that the job had written when it was read.
    pub(super) total_bytes: u64,
}

/// Reads the requested part. Blocks.
pub(super) fn excerpt(homing: &Homing, job: &Job, request: &ExcerptRequest) -> homing::Result<Excerpt> {
    let end = homing.output_end(job.id)?;
    let from = match request.tail_lines {
        // Search for the last lines only in this much output.
        Some(_) => request.from.max(end.saturating_sub(MAX_BYTES)),
        None => request.from,
    };
    let from = from.min(end);
    let mut lines = Lines::new(homing, job.id, from)?;
    let is_finished = job.outcome().is_some();
    let mut page = Page { is_finished, request, lines: VecDeque::new(), chars: 0, is_cut: false };
    let mut excerpt =
        Excerpt { first: from, last: from, next: from, total_bytes: lines.end(), ..Excerpt::default() };
    while let Some(line) = lines.next()? {
        if !page.push(&line) {
            excerpt.more = true;
            break;
        }
        excerpt.last = line.end;
        // An incomplete line is returned again, with its rest, by the next read.
        excerpt.next = if line.is_complete || page.is_finished { line.end } else { line.start };
        if request.tail_lines.is_none() && excerpt.next.saturating_sub(from) >= MAX_BYTES {
            excerpt.more = excerpt.next < lines.end();
            break;
        }
    }
    // With a filter, the lines before the first match were read too.
    if let (Some((start, _)), None) = (page.lines.front(), &request.filter) {
        excerpt.first = *start;
    }
    (excerpt.lines, excerpt.is_cut) = (page.lines.len(), page.is_cut);
    excerpt.text = page.lines.into_iter().map(|(_, text)| text).collect();
    Ok(excerpt)
}

/// The lines of the answer.
struct Page<'a> {
    is_finished: bool,
    request: &'a ExcerptRequest,
    /// Each with the offset of its first byte.
    lines: VecDeque<(u64, String)>,
    chars: usize,
    /// Whether first lines were dropped.
    is_cut: bool,
}

impl Page<'_> {
    /// Adds a line if it matches. Returns false if it does not fit.
    fn push(&mut self, line: &Line) -> bool {
        let text = clean(&line.bytes);
        if self.request.filter.as_ref().is_some_and(|filter| !filter.is_match(&text)) {
            return true;
        }
        let gap = if line.omitted_before > 0 { omission(line.omitted_before) } else { String::new() };
        let room = self.request.max_chars.saturating_sub(gap.chars().count() + "\n".len());
        let text = format!("{gap}{}\n", shorten(text, room));
        let chars = text.chars().count();
        let fits = self.lines.is_empty() || self.chars + chars <= self.request.max_chars;
        if self.request.tail_lines.is_none() && !fits {
            return false;
        }
        self.chars += chars;
        self.lines.push_back((line.start, text));
        self.drop_first_lines();
        true
    }

    /// With `tail_lines`, drops the first lines until the rest is few and short enough.
    fn drop_first_lines(&mut self) {
        let Some(max_lines) = self.request.tail_lines else { return };
        while self.lines.len() > max_lines.max(1)
            || (self.lines.len() > 1 && self.chars > self.request.max_chars)
        {
            let (_, first) = self.lines.pop_front().unwrap_or_default();
            self.chars -= first.chars().count();
            self.is_cut = true;
        }
    }
}

/// Cuts the middle out of a line that is too long.
fn shorten(line: String, max_chars: usize) -> String {
    let chars = line.chars().count();
    if chars <= max_chars {
        return line;
    }
    let mark = |omitted: usize| format!(" … {} characters of this line omitted … ", grouped(omitted as u64));
    let half = max_chars.saturating_sub(mark(chars).chars().count()) / 2;
    let head: String = line.chars().take(half).collect();
    let tail: String = line.chars().skip(chars - half).collect();
    format!("{head}{}{tail}", mark(chars - 2 * half))
}
