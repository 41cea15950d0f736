//! A job's output for people: cleaned text, or the exact bytes, written as they come. What was not kept is named.

use std::io::{self, Write};

use homing::OutputChunk;
use homing::core::text::{Cleaner, grouped};

use crate::exit::{Failure, note};

/// Takes a job's output piece by piece.
pub(crate) trait OutputSink {
    /// Takes the next piece.
    fn take(&mut self, chunk: &OutputChunk) -> Result<(), Failure>;

    /// Takes note that nothing more comes.
    fn finish(&mut self) -> Result<(), Failure>;
}

/// Turns output into cleaned text; a line stands for what was not kept.
pub(crate) struct Readable {
    cleaner: Cleaner,
    next: u64,
    omitted_bytes: u64,
    within_line: bool,
}

impl Readable {
    /// Text of the output from offset `from` on.
    pub(crate) fn starting_at(from: u64) -> Readable {
        Readable { cleaner: Cleaner::new(), next: from, omitted_bytes: 0, within_line: false }
    }

    /// The offset behind what was taken.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// How many bytes were not there.
    pub(crate) fn omitted_bytes(&self) -> u64 {
        self.omitted_bytes
    }

    /// Takes a piece, and returns the text of what is complete now.
    pub(crate) fn push(&mut self, chunk: &OutputChunk) -> String {
        let mut text = String::new();
        let missing = chunk.offset.saturating_sub(self.next);
        if missing > 0 {
            text = self.finish();
            let line_end = if self.within_line { "\n" } else { "" };
            text += &format!("{line_end}… {} bytes omitted …\n", grouped(missing));
            self.omitted_bytes += missing;
        }
        text += &self.cleaner.push(&chunk.bytes);
        self.next = chunk.end();
        self.note_line_end(&text);
        text
    }

    /// Returns the text of a last line without its end.
    pub(crate) fn finish(&mut self) -> String {
        let text = std::mem::take(&mut self.cleaner).finish();
        self.note_line_end(&text);
        text
    }

    fn note_line_end(&mut self, text: &str) {
        if let Some(last) = text.chars().next_back() {
            self.within_line = last != '\n';
        }
    }
}

/// Writes cleaned text to standard output.
pub(crate) struct TextSink(Readable);

impl TextSink {
    pub(crate) fn starting_at(from: u64) -> TextSink {
        TextSink(Readable::starting_at(from))
    }
}

impl OutputSink for TextSink {
    fn take(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        write_now(self.0.push(chunk).as_bytes())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        write_now(self.0.finish().as_bytes())
    }
}

/// Keeps cleaned text in memory.
pub(crate) struct CollectingSink {
    readable: Readable,
    text: String,
}

impl CollectingSink {
    pub(crate) fn starting_at(from: u64) -> CollectingSink {
        CollectingSink { readable: Readable::starting_at(from), text: String::new() }
    }

    /// The text of what was taken.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What is known of the output besides its text.
    pub(crate) fn readable(&self) -> &Readable {
        &self.readable
    }
}

impl OutputSink for CollectingSink {
    fn take(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        self.text += &self.readable.push(chunk);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.text += &self.readable.finish();
        Ok(())
    }
}

/// Writes the exact bytes to standard output. What was not kept is named on standard error.
pub(crate) struct RawSink {
    next: u64,
}

impl RawSink {
    pub(crate) fn starting_at(from: u64) -> RawSink {
        RawSink { next: from }
    }
}

impl OutputSink for RawSink {
    fn take(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        let missing = chunk.offset.saturating_sub(self.next);
        if missing > 0 {
            note(&format!("{} bytes omitted at offset {}", grouped(missing), self.next));
        }
        self.next = chunk.end();
        write_now(&chunk.bytes)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn write_now(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(offset: u64, bytes: &str) -> OutputChunk {
        OutputChunk { offset, bytes: bytes.into() }
    }

    #[test]
    fn what_was_not_kept_is_named_on_a_line_of_its_own() {
        let mut readable = Readable::starting_at(0);
        let mut text = readable.push(&chunk(0, "first\ncut of"));
        text += &readable.push(&chunk(20_012, "f\nlast"));
        text += &readable.finish();
        assert_eq!(text, "first\ncut of\n… 20,000 bytes omitted …\nf\nlast");
        assert_eq!((readable.omitted_bytes(), readable.next()), (20_000, 20_018));
    }

    #[test]
    fn where_pieces_are_cut_does_not_show() {
        let mut readable = Readable::starting_at(5);
        let mut text = readable.push(&chunk(5, "\x1b[3"));
        text += &readable.push(&chunk(8, "1mred\x1b[0"));
        text += &readable.push(&chunk(16, "m\n"));
        assert_eq!(text, "red\n");
    }
}
