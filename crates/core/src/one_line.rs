//! Puts untrusted text on one line: it cannot end the line, and cannot hide or reorder the text around it. For names,
//! commands, paths and errors. Output of jobs is framed instead (`text/frame.rs`).

use std::iter::Peekable;
use std::str::Chars;

/// Replaces a line break.
const BREAK_MARK: &str = " ⏎ ";

/// Replaces the omitted middle of a long line.
const CUT_MARK: &str = " … ";

/// Writes a text on one line. Each run of line breaks becomes ` ⏎ `, and each tab a space. Removes control
/// characters, colour codes, invisible characters, and characters that set the writing direction.
pub fn flatten(text: &str) -> String {
    let mut flat = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut at_break = false;
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_colour_code(&mut chars),
            c if is_line_break(c) => at_break = true,
            '\t' | ' ' if at_break => {}
            '\t' => flat.push(' '),
            c if c.is_control() || is_invisible(c) => {}
            c => {
                if std::mem::take(&mut at_break) && !flat.trim_end().is_empty() {
                    flat.truncate(flat.trim_end().len());
                    flat.push_str(BREAK_MARK);
                }
                flat.push(c);
            }
        }
    }
    flat.trim().to_owned()
}

/// Writes a text on one line of at most `limit` characters. Longer text is cut in the middle.
pub fn one_line(text: &str, limit: usize) -> String {
    shorten(&flatten(text), limit, |_| CUT_MARK.to_owned())
}

/// Cuts a line in the middle to at most `limit` characters. `mark` returns the text that replaces this many bytes.
pub(crate) fn shorten(line: &str, limit: usize, mark: impl Fn(u64) -> String) -> String {
    let count = line.chars().count();
    if count <= limit {
        return line.to_owned();
    }
    // The mark is longest if it replaces all bytes.
    let room = limit.saturating_sub(mark(line.len() as u64).chars().count());
    let head_end = end_of(line, room * 2 / 3);
    let tail_start = end_of(line, count - (room - room * 2 / 3));
    let marked = mark((tail_start - head_end) as u64);
    let marked = &marked[..end_of(&marked, limit)];
    format!("{}{marked}{}", &line[..head_end], &line[tail_start..])
}

/// The byte offset after this many characters.
pub(crate) fn end_of(text: &str, chars: usize) -> usize {
    text.char_indices().nth(chars).map_or(text.len(), |(offset, _)| offset)
}

/// Skips the rest of a control sequence (ECMA-48, 5.4), but no readable text.
fn skip_colour_code(chars: &mut Peekable<Chars<'_>>) {
    if chars.next_if_eq(&'[').is_some() {
        while chars.next_if(|c| matches!(c, '\x20'..='\x3f')).is_some() {}
        let _ = chars.next_if(|c| matches!(c, '\x40'..='\x7e'));
    }
}

/// Whether terminals, Unicode (UAX #14) or Python's `splitlines` end a line at this character.
pub fn is_line_break(c: char) -> bool {
    matches!(c, '\n'..='\r' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// `Default_Ignorable_Code_Point` of Unicode 17 (DerivedCoreProperties.txt), which includes the marks that set the
/// writing direction, and the interlinear annotations.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_line_break_is_replaced() {
        for line_break in ["\n", "\r\n", "\r", "\x0b", "\x0c", "\u{85}", "\u{2028}", "\u{2029}", " \n\t\n "] {
            assert_eq!(flatten(&format!("cd /src{line_break}make")), "cd /src ⏎ make", "{line_break:?}");
        }
        assert_eq!(flatten("\n a\tb \n"), "a b");
    }

    #[test]
    fn invisible_and_direction_characters_are_removed() {
        assert_eq!(flatten("\x1b[1;31mred\x1b[0m \x1b]0;title\x07"), "red ]0;title");
        assert_eq!(flatten("rm -rf /\x08\x08\recho"), "rm -rf / ⏎ echo");
        assert_eq!(flatten("a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{e0041}f\u{ad}g"), "abcdefg");
    }

    #[test]
    fn long_line_is_cut_in_the_middle() {
        assert_eq!(one_line("0123456789", 10), "0123456789");
        assert_eq!(one_line("0123456789x", 10), "0123 … 89x");
        assert_eq!(one_line("0123456789x", 2), " …");
    }

    proptest! {
        #[test]
        fn result_is_one_line_within_its_limit(text in "(?s).{0,80}", limit in 0usize..60) {
            let line = one_line(&text, limit);
            prop_assert!(line.chars().count() <= limit, "{line:?}");
            prop_assert!(line.chars().all(|c| !c.is_control() && !is_line_break(c) && !is_invisible(c)), "{line:?}");
        }
    }
}
