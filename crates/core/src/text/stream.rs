//! Output as text while it comes, piece by piece. What was not kept is named.

use super::{Cleaner, omission};

/// Turns output into cleaned text, wherever it was cut into pieces; a line stands for what was not kept.
#[derive(Default)]
pub struct TextStream {
    cleaner: Cleaner,
    next: u64,
    omitted_bytes: u64,
    within_line: bool,
}

impl TextStream {
    /// Text of the output from offset `from` on, in bytes.
    pub fn starting_at(from: u64) -> TextStream {
        TextStream { next: from, ..TextStream::default() }
    }

    /// The offset behind what was taken.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// How many bytes were not there.
    pub fn omitted_bytes(&self) -> u64 {
        self.omitted_bytes
    }

    /// Takes the bytes at an offset, and returns the text of the lines that are complete now.
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

    /// Returns the text of a last line without its end.
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
    fn what_was_not_kept_is_named_on_a_line_of_its_own() {
        let mut stream = TextStream::starting_at(0);
        let mut text = stream.push(0, b"first\ncut of");
        text += &stream.push(20_012, b"f\nlast");
        text += &stream.finish();
        assert_eq!(text, "first\ncut of\n… 20,000 bytes omitted …\nf\nlast");
        assert_eq!((stream.omitted_bytes(), stream.next()), (20_000, 20_018));
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn where_pieces_are_cut_does_not_show() {
        let all = "\x1b[31mgrün\x1b[0m\n".as_bytes();
        for cut in 0..all.len() {
            let mut stream = TextStream::starting_at(5);
            let (before, after) = all.split_at(cut);
            let text = stream.push(5, before) + &stream.push(5 + cut as u64, after);
            assert_eq!(text, "grün\n", "cut at {cut}");
        }
    }
}
