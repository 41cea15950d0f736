//! The lines of an output that match a pattern, as clean text on standard output.

use std::io::{self, Write};

use homing::OutputChunk;
use homing::core::text::{TextStream, grouped};
use regex_lite::Regex;

use super::messages::note;
use super::output::OutputSink;
use crate::exit::Failure;

/// Most bytes of a line that are searched and printed. The rest of a longer line counts as another line.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Writes the lines that match.
pub(crate) struct MatchingLinesSink {
    pattern: Regex,
    stream: TextStream,
    /// The beginning of a line whose end has not arrived.
    line: String,
}

impl MatchingLinesSink {
    pub(crate) fn starting_at(from: u64, pattern: Regex) -> MatchingLinesSink {
        MatchingLinesSink { pattern, stream: TextStream::starting_at(from), line: String::new() }
    }

    /// The matching lines among those that `text` completes.
    fn matching(&mut self, text: &str) -> String {
        let mut shown = String::new();
        for piece in text.split_inclusive('\n') {
            self.line += piece;
            if piece.ends_with('\n') || self.line.len() >= MAX_LINE_BYTES {
                self.end_line(&mut shown);
            }
        }
        shown
    }

    fn end_line(&mut self, shown: &mut String) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_end_matches('\n');
        if self.pattern.is_match(line) {
            shown.push_str(line);
            shown.push('\n');
        }
    }
}

impl OutputSink for MatchingLinesSink {
    fn write(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        let text = self.stream.push(chunk.offset, &chunk.bytes);
        write_now(&self.matching(&text))
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let text = self.stream.finish();
        let mut shown = self.matching(&text);
        if !self.line.is_empty() {
            self.end_line(&mut shown);
        }
        write_now(&shown)?;
        if self.stream.omitted_bytes() > 0 {
            let omitted = grouped(self.stream.omitted_bytes());
            note(&format!("{omitted} bytes were not kept, so they were not searched"));
        }
        Ok(())
    }
}

fn write_now(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(pattern: &str, pieces: &[&str]) -> String {
        let mut sink = MatchingLinesSink::starting_at(0, Regex::new(pattern).unwrap());
        let mut shown = String::new();
        pieces.iter().for_each(|piece| shown += &sink.matching(piece));
        if !sink.line.is_empty() {
            sink.end_line(&mut shown);
        }
        shown
    }

    #[test]
    fn whole_lines_match_however_they_arrive() {
        assert_eq!(matching("^err.*5$", &["err", "or 5\nerror 6\n", "error", " 15"]), "error 5\nerror 15\n");
        assert_eq!(matching("(?i)FAIL", &["ok\n", "\n", "1 failed\n"]), "1 failed\n");
        assert_eq!(matching("^$", &["a\n\n", "b"]), "\n");
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let piece = "x".repeat(700_000);
        let mut sink = MatchingLinesSink::starting_at(0, Regex::new("y").unwrap());
        for _ in 0..10 {
            assert_eq!(sink.matching(&piece), "");
            assert!(sink.line.len() < MAX_LINE_BYTES + piece.len());
        }
    }
}
