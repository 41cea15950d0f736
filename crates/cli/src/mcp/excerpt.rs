//! A part of a job's output that fits into an answer: what is left out is named, and where to go on is told.

use std::collections::VecDeque;

use homing::core::text::{clean, grouped, omission};
use homing::{Homing, Job};
use regex_lite::Regex;

use super::lines::{Line, Lines};

/// Most bytes of output that one call looks through.
const MOST_BYTES: u64 = 16 << 20;

/// What is asked for.
pub(super) struct ExcerptRequest {
    pub(super) from: u64,
    /// Only so many of the last lines, from `from` on.
    pub(super) tail_lines: Option<usize>,
    /// Only lines that match.
    pub(super) filter: Option<Regex>,
    /// At most so many characters, what stands for omitted ones included.
    pub(super) max_chars: usize,
}

/// What is answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// Offset to go on from.
    pub(super) next: u64,
    /// Bytes that were not kept, between the lines looked at.
    pub(super) omitted_bytes: u64,
    /// Whether more output is available now.
    pub(super) more: bool,
    /// Bytes that the job had written by then.
    pub(super) total_bytes: u64,
}

/// Reads what is asked for. Blocks.
pub(super) fn excerpt(homing: &Homing, job: &Job, wish: &ExcerptRequest) -> homing::Result<Excerpt> {
    let end = homing.output_end(job.id)?;
    let from = match wish.tail_lines {
        // Further back nobody looks for the last lines.
        Some(_) => wish.from.max(end.saturating_sub(MOST_BYTES)),
        None => wish.from,
    };
    let mut lines = Lines::new(homing, job.id, from)?;
    let mut page = Page { is_finished: job.outcome().is_some(), wish, shown: VecDeque::new(), chars: 0 };
    let mut excerpt = Excerpt { next: from, total_bytes: lines.end(), ..Excerpt::default() };
    while let Some(line) = lines.next()? {
        excerpt.omitted_bytes += line.omitted_before;
        if !page.take(&line) {
            excerpt.more = true;
            break;
        }
        // The rest of a line that is not done comes with its beginning the next time.
        excerpt.next = if line.is_complete || page.is_finished { line.end } else { line.start };
        if wish.tail_lines.is_none() && excerpt.next.saturating_sub(from) >= MOST_BYTES {
            excerpt.more = excerpt.next < lines.end();
            break;
        }
    }
    excerpt.text = page.shown.into_iter().collect();
    Ok(excerpt)
}

/// The lines that are shown.
struct Page<'a> {
    is_finished: bool,
    wish: &'a ExcerptRequest,
    shown: VecDeque<String>,
    chars: usize,
}

impl Page<'_> {
    /// Takes a line; answers whether there was room for it.
    fn take(&mut self, line: &Line) -> bool {
        let text = clean(&line.bytes);
        if self.wish.filter.as_ref().is_some_and(|filter| !filter.is_match(&text)) {
            return true;
        }
        let gap = if line.omitted_before > 0 { omission(line.omitted_before) } else { String::new() };
        let room = self.wish.max_chars.saturating_sub(gap.chars().count() + "\n".len());
        let text = format!("{gap}{}\n", shorten(text, room));
        let chars = text.chars().count();
        let fits = self.shown.is_empty() || self.chars + chars <= self.wish.max_chars;
        if self.wish.tail_lines.is_none() && !fits {
            return false;
        }
        self.chars += chars;
        self.shown.push_back(text);
        self.drop_first_lines();
        true
    }

    /// Of the last lines, keeps as many as are wanted and fit.
    fn drop_first_lines(&mut self) {
        let Some(wanted) = self.wish.tail_lines else { return };
        while self.shown.len() > wanted.max(1) || (self.shown.len() > 1 && self.chars > self.wish.max_chars) {
            let first = self.shown.pop_front().unwrap_or_default();
            self.chars -= first.chars().count();
        }
    }
}

/// A line that alone is too long, without its middle.
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
