//! Reads keys from the bytes that a terminal sends (xterm control sequences, ECMA-48).

/// Longest control sequence that is read, in bytes.
const MAX_SEQUENCE: usize = 32;

/// Begins and ends pasted text (xterm, private mode 2004): the parameter of `CSI … ~`.
const PASTE_BEGINS: &[u8] = b"200";
const PASTE_ENDS: &[u8] = b"201";

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A printable character.
    Char(char),
    /// A printable character of a pasted text. Never a command: a user may paste by mistake.
    Pasted(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    /// Ctrl-L: draw everything again.
    Redraw,
}

/// Reads keys piece by piece. Pieces may begin and end at any byte.
#[derive(Debug, Default)]
pub(super) struct KeyReader {
    state: State,
    is_pasting: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// After ESC: the key Escape, or the beginning of a sequence.
    Escape,
    /// After `ESC O`.
    SingleShift,
    /// After `ESC [`: the bytes so far.
    Sequence(Vec<u8>),
    /// The first bytes of a character that is not complete.
    Character(Vec<u8>),
}

impl KeyReader {
    /// Reads a piece.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Key> {
        bytes.iter().filter_map(|byte| self.step(*byte)).collect()
    }

    /// Whether the key Escape, or the beginning of a sequence, has arrived. If nothing follows soon, call
    /// [`KeyReader::end`].
    pub(super) fn is_incomplete(&self) -> bool {
        !matches!(self.state, State::Ground)
    }

    /// Reads an incomplete sequence as what has arrived.
    pub(super) fn end(&mut self) -> Option<Key> {
        match std::mem::take(&mut self.state) {
            State::Escape => Some(Key::Escape),
            State::Ground | State::SingleShift | State::Sequence(_) | State::Character(_) => None,
        }
    }

    fn step(&mut self, byte: u8) -> Option<Key> {
        match (std::mem::take(&mut self.state), byte) {
            (State::Escape, 0x1b) => {
                self.state = State::Escape;
                return Some(Key::Escape);
            }
            (_, 0x1b) => self.state = State::Escape,
            (State::Escape, b'[') => self.state = State::Sequence(Vec::new()),
            (State::Escape, b'O') => self.state = State::SingleShift,
            // A key that is pressed together with Alt has no meaning here.
            (State::Escape, _) => {}
            (State::SingleShift, last) => return key_of_sequence(b"", last),
            (State::Sequence(mut sequence), b' '..=b'?') if sequence.len() < MAX_SEQUENCE => {
                sequence.push(byte);
                self.state = State::Sequence(sequence);
            }
            (State::Sequence(parameters), last) => return self.sequence(&parameters, last),
            (State::Character(mut character), 0x80..=0xbf) => {
                character.push(byte);
                return self.character(character);
            }
            (State::Ground | State::Character(_), _) => return self.ground(byte),
        }
        None
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b' '..=b'~' => Some(self.typed(char::from(byte))),
            0x80.. => self.character(vec![byte]),
            _ if self.is_pasting => None,
            b'\r' | b'\n' => Some(Key::Enter),
            b'\t' => Some(Key::Tab),
            8 | 0x7f => Some(Key::Backspace),
            0x0c => Some(Key::Redraw),
            _ => None,
        }
    }

    fn typed(&self, c: char) -> Key {
        if self.is_pasting { Key::Pasted(c) } else { Key::Char(c) }
    }

    fn sequence(&mut self, parameters: &[u8], last: u8) -> Option<Key> {
        match (parameters, last) {
            (PASTE_BEGINS, b'~') => self.is_pasting = true,
            (PASTE_ENDS, b'~') => self.is_pasting = false,
            _ => return key_of_sequence(parameters, last),
        }
        None
    }

    /// A character in UTF-8, once it is complete. Bytes that are not UTF-8 are ignored.
    fn character(&mut self, bytes: Vec<u8>) -> Option<Key> {
        match std::str::from_utf8(&bytes) {
            Ok(text) => text.chars().next().filter(|c| !c.is_control()).map(|c| self.typed(c)),
            Err(error) if error.error_len().is_none() => {
                self.state = State::Character(bytes);
                None
            }
            Err(_) => None,
        }
    }
}

/// The key of `CSI parameters last` or `SS3 last`. Keys that are pressed together with Shift, Alt or Ctrl count as the
/// same keys.
fn key_of_sequence(parameters: &[u8], last: u8) -> Option<Key> {
    match last {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        b'M' if parameters.is_empty() => Some(Key::Enter),
        b'Z' => Some(Key::BackTab),
        b'~' => match parameters.split(|byte| *byte == b';').next() {
            Some(b"1" | b"7") => Some(Key::Home),
            Some(b"4" | b"8") => Some(Key::End),
            Some(b"5") => Some(Key::PageUp),
            Some(b"6") => Some(Key::PageDown),
            Some(_) | None => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut reader = KeyReader::default();
        let mut keys = reader.push(bytes);
        keys.extend(reader.end());
        keys
    }

    const STREAMS: [(&[u8], &[Key]); 12] = [
        (
            b"q \r\n\t\x7f\x08\x0c",
            &[
                Key::Char('q'),
                Key::Char(' '),
                Key::Enter,
                Key::Enter,
                Key::Tab,
                Key::Backspace,
                Key::Backspace,
                Key::Redraw,
            ],
        ),
        (b"\x1b[A\x1b[B\x1bOA\x1bOB", &[Key::Up, Key::Down, Key::Up, Key::Down]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOH", &[Key::Home, Key::End, Key::Home, Key::End, Key::Home]),
        (b"\x1b[5~\x1b[6~\x1b[Z", &[Key::PageUp, Key::PageDown, Key::BackTab]),
        (b"\x1b[1;5A\x1b[5;2~", &[Key::Up, Key::PageUp]),
        (b"\x1b", &[Key::Escape]),
        (b"\x1b\x1b[A", &[Key::Escape, Key::Up]),
        (b"\x1bk\x1b[15~\x1b[<0;1;1Mx", &[Key::Char('x')]),
        ("\u{e9}\u{1f600}\u{85}".as_bytes(), &[Key::Char('\u{e9}'), Key::Char('\u{1f600}')]),
        (b"\xff\xc3(a", &[Key::Char('('), Key::Char('a')]),
        (b"\x1b[200~k\ny\x1b[201~k", &[Key::Pasted('k'), Key::Pasted('y'), Key::Char('k')]),
        (b"\x00\x01\x04\x1c", &[]),
    ];

    #[test]
    fn keys_are_read_from_the_sequences_of_an_xterm() {
        for (bytes, expected) in STREAMS {
            assert_eq!(keys(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn the_keys_do_not_depend_on_where_the_bytes_are_split() {
        for (bytes, expected) in STREAMS {
            for cut in 0..=bytes.len() {
                let mut reader = KeyReader::default();
                let mut keys = reader.push(&bytes[..cut]);
                keys.extend(reader.push(&bytes[cut..]));
                keys.extend(reader.end());
                assert_eq!(keys, expected, "cut at {cut}");
            }
        }
    }

    #[test]
    fn an_endless_sequence_is_ignored_and_ends() {
        let bytes = [b"\x1b[".as_slice(), &[b'1'; 100], b"q"].concat();
        assert!(keys(&bytes).iter().all(|key| *key == Key::Char('1') || *key == Key::Char('q')));
        assert_eq!(keys(&bytes).last(), Some(&Key::Char('q')));
    }
}
