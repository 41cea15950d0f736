//! Converts output to readable text: removes terminal control codes, and keeps the last state of lines that a
//! progress bar rewrites. Removes only what a terminal does not show either.

use vte::{Parser, Perform};

/// Cleans a stream of output piece by piece. Pieces may begin and end at any byte.
#[derive(Default)]
pub struct Cleaner {
    parser: Parser,
    screen: Screen,
    /// The first bytes of a character that is not complete. vte 0.15 can buffer these itself, but loses characters if
    /// the bytes after them are not UTF-8. So it gets complete characters only.
    unfinished: Vec<u8>,
}

/// The part of a terminal that plain text needs: the complete lines, and the current line.
#[derive(Default)]
struct Screen {
    done: String,
    line: String,
    /// Set by a carriage return: the next character that is not a line feed starts the line again.
    rewind: bool,
}

/// Maximum size of a line that is held because it may still be rewritten, in bytes. Longer lines are returned in
/// parts.
const MAX_HELD_LINE: usize = 64 * 1024;

impl Cleaner {
    /// Creates a cleaner for the beginning of a stream.
    pub fn new() -> Cleaner {
        Cleaner::default()
    }

    /// Adds bytes and returns the text of all lines that are complete now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut joined = std::mem::take(&mut self.unfinished);
        let bytes = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        let (whole, unfinished) = bytes.split_at(bytes.len() - unfinished_character(bytes));
        self.unfinished = unfinished.to_vec();
        self.parser.advance(&mut self.screen, whole);
        std::mem::take(&mut self.screen.done)
    }

    /// Ends the stream and returns the rest: a last line without a line feed.
    pub fn finish(mut self) -> String {
        if !self.unfinished.is_empty() {
            // A byte that is never valid UTF-8 becomes the replacement character.
            self.parser.advance(&mut self.screen, b"\xff");
        }
        self.screen.done + &self.screen.line
    }
}

/// Number of bytes at the end that begin an incomplete UTF-8 character.
fn unfinished_character(bytes: &[u8]) -> usize {
    let last_three = bytes.iter().rev().take(3);
    let Some((following, &lead)) = last_three.enumerate().find(|(_, byte)| !(0x80..0xc0).contains(*byte))
    else {
        return 0;
    };
    let length = match lead {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        _ => 1,
    };
    if following + 1 < length { following + 1 } else { 0 }
}

impl Perform for Screen {
    fn print(&mut self, c: char) {
        if matches!(c, '\u{7f}'..='\u{9f}') {
            return;
        }
        if std::mem::take(&mut self.rewind) {
            self.line.clear();
        }
        if self.line.len() >= MAX_HELD_LINE {
            self.done.push_str(&self.line);
            self.line.clear();
        }
        self.line.push(c);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.done.push_str(&self.line);
                self.done.push('\n');
                self.line.clear();
                self.rewind = false;
            }
            b'\r' => self.rewind = true,
            b'\t' => self.print('\t'),
            // Backspace: a spinner removes its last character.
            8 => drop(self.line.pop()),
            _ => {}
        }
    }
}

/// Cleans complete output.
pub fn clean(bytes: &[u8]) -> String {
    let mut cleaner = Cleaner::new();
    let mut text = cleaner.push(bytes);
    text.push_str(&cleaner.finish());
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_titles_and_cursor_moves_are_removed() {
        assert_eq!(clean(b"\x1b[1;31merror\x1b[0m: no\x1b[K\n\x1b]0;title\x07ok\n"), "error: no\nok\n");
    }

    #[test]
    fn progress_bar_keeps_its_last_state() {
        assert_eq!(clean(b"10%\r50%\r100%\ndone\r\n"), "100%\ndone\n");
        assert_eq!(clean(b"wait |\x08/\x08-\x08ok"), "wait ok");
    }

    #[test]
    fn invalid_utf8_becomes_the_replacement_character() {
        assert_eq!(clean(b"a\xffb\0c\n"), "a\u{fffd}bc\n");
        assert_eq!(clean("caf\u{e9}\n".as_bytes()), "caf\u{e9}\n");
        assert_eq!(clean(b"caf\xc3"), "caf\u{fffd}");
    }

    #[test]
    fn long_line_without_line_feed_is_returned_in_parts() {
        let mut cleaner = Cleaner::new();
        let early = cleaner.push(&[b'x'; 3 * MAX_HELD_LINE]);
        assert_eq!(early.len() + cleaner.finish().len(), 3 * MAX_HELD_LINE);
        assert!(!early.is_empty());
    }

    #[test]
    fn character_split_across_pieces_before_invalid_utf8_is_kept() {
        let mut cleaner = Cleaner::new();
        let text = cleaner.push(b"a\xc3") + &cleaner.push(b"\xa9b\xc3c") + &cleaner.finish();
        assert_eq!(text, "a\u{e9}b\u{fffd}c");
    }

    proptest! {
        #[test]
        fn result_does_not_depend_on_where_a_stream_is_split(
            bytes in prop::collection::vec(prop::sample::select(b"ab\r\n\x08\x1b[3m\xc3\xa9\xff".to_vec()), 0..200),
            cut in 0usize..200,
        ) {
            let cut = cut.min(bytes.len());
            let mut cleaner = Cleaner::new();
            let mut text = cleaner.push(&bytes[..cut]);
            text.push_str(&cleaner.push(&bytes[cut..]));
            text.push_str(&cleaner.finish());
            prop_assert_eq!(text, clean(&bytes));
        }

        #[test]
        fn text_never_contains_control_characters(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let text = clean(&bytes);
            prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{:?}", text);
        }
    }
}
