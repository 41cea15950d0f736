//! Converts output to text while it arrives. A line states the bytes that were not kept.

use super::{Cleaner, omission};

/// Converts pieces of output to cleaned text. Pieces may begin and end at any byte; a line replaces missing bytes.
#[derive(Default)]
pub struct TextStream {
    cleaner: Cleaner,
    next: u64,
    omitted_bytes: u64,
    within_line: bool,
}

impl TextStream {
    /// Starts at the offset `from` of the output, in bytes.
    pub fn starting_at(from: u64) -> TextStream {
        TextStream { next: from, ..TextStream::default() }
    }

    /// The offset after the last byte that was added.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Number of missing bytes so far.
    pub fn omitted_bytes(&self) -> u64 {
        self.omitted_bytes
    }

    /// Adds the bytes at an offset and returns the text of all lines that are complete now.
    pub fn push(&mut self, offset: u64, bytes: &[u8]) -> String {
        let mut text = String::new();
        let missing = offset.saturating_sub(self.next);
        if missing > 0 {
            text = self.finish();
            let line_end = if self.within_line { "\n" } else { "" };
            text += line_end;
            text += &omission(missing);
            self.omitted_bytes += missing;
        }
        text += &self.cleaner.push(bytes);
        self.next = offset + bytes.len() as u64;
        self.note_line_end(&text);
        text
    }

    /// Returns the text of a last line without a line feed.
    pub fn finish(&mut self) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_bytes_are_stated_on_their_own_line() {
        let mut stream = TextStream::starting_at(0);
        let mut text = stream.push(0, b"first\ncut of");
        text += &stream.push(20_012, b"f\nlast");
        text += &stream.finish();
        assert_eq!(text, "first\ncut of\n… 20,000 bytes omitted …\nf\nlast");
        assert_eq!((stream.omitted_bytes(), stream.next()), (20_000, 20_018));
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn result_does_not_depend_on_where_output_is_split() {
        let all = "\x1b[31mgrün\x1b[0m\n".as_bytes();
        for cut in 0..all.len() {
            let mut stream = TextStream::starting_at(5);
            let (before, after) = all.split_at(cut);
            let text = stream.push(5, before) + &stream.push(5 + cut as u64, after);
            assert_eq!(text, "grün\n", "cut at {cut}");
        }
    }
}
