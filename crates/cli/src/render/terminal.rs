//! Makes the output of a job safe for a terminal: passes text, line control and colors, and nothing else. Without this,
//! a job could set the clipboard, rename the window, or make the terminal type commands.

use std::str;

/// Longest color sequence that is passed, in bytes.
const MAX_SEQUENCE: usize = 64;

/// Longest control string, such as a window title, that is removed, in bytes. What follows is text: a string without an
/// end does not hide all further output.
const MAX_STRING: usize = 4096;

const ESCAPE: u8 = 0x1b;
const RESET: &[u8] = b"\x1b[0m";

/// Filters a stream of output piece by piece. Pieces may begin and end at any byte.
///
/// Passes UTF-8 text, LF, CR, TAB and backspace; `CSI … m` (colors and styles) and `CSI K` (erase in line), which progress
/// bars need. Removes all other control characters, 8-bit ones too, and all other sequences and control strings. Replaces
/// bytes that are not UTF-8 with U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct TerminalFilter {
    state: State,
    /// Whether the terminal shows a style that the job set.
    is_styled: bool,
}

#[derive(Debug, Default)]
enum State {
    /// Text. Contains the first bytes of an incomplete character.
    Text(Vec<u8>),
    /// Within text, at its beginning.
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte: the next final byte ends the sequence.
    EscapeIntermediate,
    /// After `ESC [`: the bytes so far.
    Sequence(Vec<u8>),
    /// In a sequence that is not passed: the next final byte ends it.
    OtherSequence,
    /// In a control string, after this many bytes. It ends with BEL or `ESC \`.
    ControlString(usize),
}

impl TerminalFilter {
    /// Filters a piece.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        for byte in bytes {
            self.state = self.step(*byte, &mut passed);
        }
        passed
    }

    /// Ends the stream: completes the last character, and ends a style that the job has left.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut passed = Vec::new();
        if let State::Text(_) = std::mem::take(&mut self.state) {
            push_replacement(&mut passed);
        }
        if std::mem::take(&mut self.is_styled) {
            passed.extend_from_slice(RESET);
        }
        passed
    }

    fn step(&mut self, byte: u8, passed: &mut Vec<u8>) -> State {
        match (std::mem::take(&mut self.state), byte) {
            (State::Text(mut character), 0x80..=0xff) => {
                character.push(byte);
                in_character(character, passed)
            }
            (State::Text(_), _) => {
                push_replacement(passed);
                self.step(byte, passed)
            }
            // An escape character begins a new sequence everywhere, and CAN and SUB end one (ECMA-48, DEC STD 070).
            (_, ESCAPE) => State::Escape,
            (_, 0x18 | 0x1a) => State::Ground,
            (State::Ground, 0x80..=0xff) => in_character(vec![byte], passed),
            (State::Ground, _) => {
                if matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 8) {
                    passed.push(byte);
                }
                State::Ground
            }
            (State::ControlString(length), _) => match byte {
                7 => State::Ground,
                _ if length == MAX_STRING => State::Ground,
                _ => State::ControlString(length + 1),
            },
            (State::Escape, b'[') => State::Sequence(Vec::new()),
            // OSC, DCS, SOS, PM and APC.
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::ControlString(0),
            (State::Escape | State::EscapeIntermediate, b' '..=b'/') => State::EscapeIntermediate,
            (State::Escape | State::EscapeIntermediate, b'0'..=b'~') => State::Ground,
            (State::Sequence(mut sequence), b' '..=b'?') if sequence.len() < MAX_SEQUENCE => {
                sequence.push(byte);
                State::Sequence(sequence)
            }
            (State::Sequence(_) | State::OtherSequence, b' '..=b'?') => State::OtherSequence,
            (State::Sequence(parameters), b'@'..=b'~') => {
                self.pass_sequence(&parameters, byte, passed);
                State::Ground
            }
            (State::OtherSequence, b'@'..=b'~') => State::Ground,
            // A control character or a byte of a text within a sequence: the sequence is incomplete.
            (State::Escape | State::EscapeIntermediate | State::Sequence(_) | State::OtherSequence, _) => {
                self.step(byte, passed)
            }
        }
    }

    /// Passes a sequence if it is harmless.
    fn pass_sequence(&mut self, parameters: &[u8], last: u8, passed: &mut Vec<u8>) {
        let is_passed = match last {
            b'm' => parameters.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')),
            b'K' => matches!(parameters, b"" | b"0" | b"1" | b"2"),
            _ => false,
        };
        if is_passed {
            passed.extend_from_slice(b"\x1b[");
            passed.extend_from_slice(parameters);
            passed.push(last);
        }
        if is_passed && last == b'm' {
            self.is_styled = !matches!(parameters, b"" | b"0");
        }
    }
}

/// The state after these bytes, which do not contain a complete character before the last byte.
fn in_character(bytes: Vec<u8>, passed: &mut Vec<u8>) -> State {
    match str::from_utf8(&bytes) {
        // C1 control characters are sequences of 8 bits: a terminal may interpret them.
        Ok(character) if character.chars().all(|c| matches!(c, '\u{80}'..='\u{9f}')) => State::Ground,
        Ok(_) => {
            passed.extend_from_slice(&bytes);
            State::Ground
        }
        Err(error) => match error.error_len() {
            None => State::Text(bytes),
            // The bytes before the last one are not a character. The last one may begin one.
            Some(invalid) => {
                push_replacement(passed);
                match &bytes[invalid..] {
                    [] => State::Ground,
                    rest => in_character(rest.to_vec(), passed),
                }
            }
        },
    }
}

fn push_replacement(passed: &mut Vec<u8>) {
    passed.extend_from_slice("\u{fffd}".as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(bytes: &[u8]) -> String {
        let mut filter = TerminalFilter::default();
        let mut passed = filter.push(bytes);
        passed.extend(filter.finish());
        String::from_utf8(passed).expect("UTF-8")
    }

    /// Hostile and ordinary output, and what passes.
    const STREAMS: [(&[u8], &str); 24] = [
        (b"10%\r50%\x1b[K\ttab\x08\r\n", "10%\r50%\x1b[K\ttab\x08\r\n"),
        (b"\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mx\x1b[m", "\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mx\x1b[m"),
        (b"\x1b[31mred", "\x1b[31mred\x1b[0m"),
        // Clipboard, window title, hyperlink.
        (b"a\x1b]52;c;cm0gLXJmIC8=\x07b\x1b]0;title\x1b\\c\x1b]8;;http://x\x07d", "abcd"),
        // DCS, SOS, PM, APC.
        (b"a\x1bP+q544e\x1b\\b\x1bXx\x1b\\c\x1b^x\x1b\\d\x1b_Gx\x1b\\e", "abcde"),
        // Questions that make the terminal type an answer.
        (b"\x1b[c\x1b[6n\x1b[>q\x1b[?1$p\x05x", "x"),
        // Cursor moves, erasing the screen, modes, reset, character sets.
        (b"\x1b[2J\x1b[H\x1b[A\x1b[?1049h\x1bc\x1b(0\x1b#8\x1b7x", "x"),
        (b"\x1b[3K\x1b[?1m\x1b[>4;1m\x1b[1 m\x1b[1!mx", "x"),
        // 8-bit control characters, as bytes and as UTF-8.
        (b"a\x9b2Jb\x9d0;t\x07c\x90q\x9cd", "a\u{fffd}2Jb\u{fffd}0;tc\u{fffd}q\u{fffd}d"),
        (b"a\xc2\x9b31mb\xc2\x9d52;c;x\xc2\x9cc", "a31mb52;c;xc"),
        (b"bell\x07null\0vertical\x0bform\x0cshift\x0e\x0fdelete\x7f", "bellnullverticalformshiftdelete"),
        // Invalid and incomplete UTF-8.
        (b"\xff\xc3(\xe2\x82\xf0\x9f\x98\x80\xc3", "\u{fffd}\u{fffd}(\u{fffd}\u{1f600}\u{fffd}"),
        (b"\xed\xa0\x80\xc0\xaf", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ("gr\u{fc}n \u{4e2d}\u{6587} e\u{301}".as_bytes(), "gr\u{fc}n \u{4e2d}\u{6587} e\u{301}"),
        // A sequence in a sequence, a control character in a sequence, an incomplete one at the end.
        (b"\x1b[3\x1b[31mx\x1b[0m", "\x1b[31mx\x1b[0m"),
        (b"\x1b[3\n1mx", "\n1mx"),
        (b"\x1b]0;t\x1b[31mx\x1b[0m", "\x1b[31mx\x1b[0m"),
        (b"\x1b[31\x18mx\x1b]0;\x1ay", "mxy"),
        (b"x\x1b", "x"),
        (b"x\x1b[31", "x"),
        (b"x\x1b]0;title", "x"),
        (b"\x1b[3\xc3\xa9x", "\u{e9}x"),
        (b"\x1b\xc3\xa9x", "\u{e9}x"),
        (b"", ""),
    ];

    #[test]
    fn only_text_line_control_and_colors_pass() {
        for (bytes, expected) in STREAMS {
            assert_eq!(filtered(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn the_result_does_not_depend_on_where_a_stream_is_split() {
        for (bytes, expected) in STREAMS {
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let mut filter = TerminalFilter::default();
                    let mut passed = filter.push(&bytes[..first]);
                    passed.extend(filter.push(&bytes[first..second]));
                    passed.extend(filter.push(&bytes[second..]));
                    passed.extend(filter.finish());
                    assert_eq!(passed, expected.as_bytes(), "split at {first} and {second}: {expected:?}");
                }
            }
        }
    }

    #[test]
    fn a_control_string_without_an_end_does_not_hide_all_further_output() {
        let passed = filtered(&[b"\x1b]52;c;".as_slice(), &[b'x'; 2 * MAX_STRING], b"\nseen"].concat());
        assert!(passed.ends_with("x\nseen") && passed.len() < 2 * MAX_STRING, "{}", passed.len());
    }

    #[test]
    fn a_long_sequence_is_removed_as_a_whole() {
        assert_eq!(filtered(&[b"\x1b[".as_slice(), &[b'1'; 500], b"mx"].concat()), "x");
    }

    #[test]
    fn no_control_character_passes_outside_a_sequence() {
        // Every pair of bytes, in a context that begins and ends other sequences.
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let passed =
                    filtered(&[b'a', first, second, b'[', b'1', b'x', b'\x1b', b'[', first, second, b'm']);
                let text = passed.replace("\x1b[0m", "");
                let text = text.split("\x1b[").collect::<Vec<_>>().join("");
                assert!(
                    text.chars().all(|c| matches!(c, '\n' | '\r' | '\t' | '\u{8}') || !c.is_control()),
                    "{first:#x} {second:#x}: {passed:?}"
                );
            }
        }
    }
}
