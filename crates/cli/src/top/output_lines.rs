//! The output of a job as lines with colors. Passes what [`TerminalFilter`] passes, interprets colors and line control
//! itself, and sends no byte of the job to the terminal as it is. Bounded in lines and bytes.

use std::collections::VecDeque;

use homing::core::text::grouped;
use ratatui_core::style::Style;
use unicode_width::UnicodeWidthChar;

use super::sgr::apply_sgr;
use crate::render::terminal::TerminalFilter;

/// The most lines that are kept, and the most bytes of their texts. Older lines are left out.
const MAX_LINES: usize = 10_000;
const MAX_BYTES: usize = 4 << 20;

/// Longer lines are broken, in characters.
const MAX_LINE_CHARS: usize = 4_096;

/// Distance between two tab stops, in columns.
const TAB: usize = 8;

/// One line of output, or a note about output that is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Parts of the text with one style: the byte offset behind each, in ascending order.
    pub(super) parts: Vec<(usize, Style)>,
    /// Whether this is a note of homing.
    pub(super) is_note: bool,
    chars: usize,
    columns: usize,
}

impl Line {
    fn note(text: String) -> Line {
        Line { text, is_note: true, ..Line::default() }
    }

    fn push(&mut self, c: char, style: Style) {
        match self.parts.last_mut() {
            Some((end, last)) if *last == style => *end += c.len_utf8(),
            _ => self.parts.push((self.text.len() + c.len_utf8(), style)),
        }
        self.text.push(c);
        self.chars += 1;
        self.columns += c.width().unwrap_or(0);
    }

    /// Removes the last character: a spinner does so.
    fn pop(&mut self) {
        let Some(c) = self.text.pop() else { return };
        self.chars -= 1;
        self.columns -= c.width().unwrap_or(0);
        let start = self.parts.iter().rev().nth(1).map_or(0, |(end, _)| *end);
        match self.parts.last_mut() {
            Some((end, _)) if *end - c.len_utf8() > start => *end -= c.len_utf8(),
            Some(_) | None => drop(self.parts.pop()),
        }
    }

    /// The byte offsets at which the rows of this line end, where it is broken to `columns`. At least one row.
    pub(super) fn row_ends(&self, columns: usize) -> Vec<usize> {
        let (mut ends, mut used) = (Vec::new(), 0);
        for (at, c) in self.text.char_indices() {
            let width = c.width().unwrap_or(0);
            if used + width > columns && used > 0 {
                ends.push(at);
                used = 0;
            }
            used += width;
        }
        ends.push(self.text.len());
        ends
    }
}

/// The newest lines of an output.
#[derive(Debug, Default)]
pub(super) struct OutputLines {
    filter: TerminalFilter,
    lines: VecDeque<Line>,
    /// The number of the first kept line.
    first: u64,
    bytes: usize,
    line: Line,
    style: Style,
    control: Control,
    /// Set by a carriage return: the next character that does not end the line starts it again.
    rewinds: bool,
    /// The offset in the output behind the last byte that was added.
    next: u64,
    /// Bytes of the output that were not kept on disk.
    omitted_bytes: u64,
}

/// A control sequence in progress.
#[derive(Debug, Default)]
enum Control {
    #[default]
    None,
    /// After ESC.
    Escape,
    /// After `ESC [`: the bytes so far. The filter limits their number.
    Sequence(String),
}

impl OutputLines {
    /// Starts at an offset of the output, in bytes. If it is not 0, a note says that earlier output is not shown.
    pub(super) fn starting_at(from: u64) -> OutputLines {
        let mut lines = OutputLines { next: from, ..OutputLines::default() };
        if from > 0 {
            lines.keep(Line::note(format!("… {} bytes before this are not shown …", grouped(from))));
        }
        lines
    }

    /// Adds the bytes at an offset. A note stands for missing bytes.
    pub(super) fn push(&mut self, offset: u64, bytes: &[u8]) {
        let missing = offset.saturating_sub(self.next);
        if missing > 0 {
            self.omitted_bytes += missing;
            self.interrupt(format!("… {} bytes omitted …", grouped(missing)));
        }
        let passed = self.filter.push(bytes);
        self.add(&String::from_utf8_lossy(&passed));
        self.next = offset + bytes.len() as u64;
    }

    /// Goes on at a later offset. A note says that the bytes before it are not shown.
    pub(super) fn skip_to(&mut self, offset: u64) {
        let skipped = offset.saturating_sub(self.next);
        if skipped > 0 {
            self.interrupt(format!(
                "… {} bytes are not shown, because they arrived too fast …",
                grouped(skipped)
            ));
            self.next = offset;
        }
    }

    /// The offset behind the last byte that was added.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Number of bytes so far that were not kept on disk.
    pub(super) fn omitted_bytes(&self) -> u64 {
        self.omitted_bytes
    }

    /// The numbers of the kept lines. The last one may be incomplete.
    pub(super) fn numbers(&self) -> std::ops::Range<u64> {
        let has_last = !self.line.text.is_empty() || self.lines.is_empty();
        self.first..self.first + self.lines.len() as u64 + u64::from(has_last)
    }

    /// The line with this number, or the nearest one that is kept.
    pub(super) fn line(&self, number: u64) -> &Line {
        let index = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.lines.get(index).unwrap_or(&self.line)
    }

    /// Ends the current line, and adds a note.
    fn interrupt(&mut self, note: String) {
        let rest = self.filter.finish();
        self.add(&String::from_utf8_lossy(&rest));
        self.filter = TerminalFilter::default();
        self.control = Control::None;
        if !self.line.text.is_empty() {
            self.end_line();
        }
        self.keep(Line::note(note));
    }

    fn add(&mut self, passed: &str) {
        for c in passed.chars() {
            self.control = match (std::mem::take(&mut self.control), c) {
                (Control::Escape, '[') => Control::Sequence(String::new()),
                (Control::Sequence(parameters), 'm') => {
                    self.style = apply_sgr(self.style, &parameters);
                    Control::None
                }
                (Control::Sequence(parameters), 'K') => {
                    self.erase(&parameters);
                    Control::None
                }
                (Control::Sequence(mut parameters), c) => {
                    parameters.push(c);
                    Control::Sequence(parameters)
                }
                (Control::None | Control::Escape, c) => self.write(c),
            };
        }
    }

    fn write(&mut self, c: char) -> Control {
        match c {
            '\x1b' => return Control::Escape,
            '\n' => self.end_line(),
            '\r' => self.rewinds = true,
            '\u{8}' => self.line.pop(),
            c => {
                if std::mem::take(&mut self.rewinds) {
                    self.line = Line::default();
                }
                if self.line.chars >= MAX_LINE_CHARS {
                    self.end_line();
                }
                if c == '\t' {
                    let blanks = TAB - self.line.columns % TAB;
                    (0..blanks).for_each(|_| self.line.push(' ', self.style));
                } else {
                    self.line.push(c, self.style);
                }
            }
        }
        Control::None
    }

    /// `CSI K`: erases the line behind the cursor, before it (1), or both (2). The cursor is at the end of the text, or at
    /// its beginning after a carriage return.
    fn erase(&mut self, parameters: &str) {
        if self.rewinds || matches!(parameters, "1" | "2") {
            self.line = Line::default();
        }
    }

    fn end_line(&mut self) {
        self.rewinds = false;
        let line = std::mem::take(&mut self.line);
        self.keep(line);
    }

    fn keep(&mut self, line: Line) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui_core::style::{Color, Modifier};

    use super::*;

    fn lines_of(bytes: &[u8]) -> OutputLines {
        let mut lines = OutputLines::starting_at(0);
        lines.push(0, bytes);
        lines
    }

    fn texts(lines: &OutputLines) -> Vec<String> {
        lines.numbers().map(|number| lines.line(number).text.clone()).collect()
    }

    #[test]
    fn colors_are_kept_and_all_other_sequences_are_removed() {
        let lines = lines_of(b"a\x1b[1;31mred\x1b[0mb\x1b]52;c;cm0=\x07\x1b[2J\x1b[H\x07c\n");
        assert_eq!(texts(&lines), ["aredbc"]);
        let red = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        assert_eq!(lines.line(0).parts, [(1, Style::new()), (4, red), (6, Style::new())]);
    }

    #[test]
    fn a_style_lasts_until_it_is_reset() {
        let lines = lines_of(b"\x1b[32mone\ntwo\x1b[m three");
        assert_eq!(lines.line(1).parts, [(3, Style::new().fg(Color::Green)), (9, Style::new())]);
    }

    #[test]
    fn a_progress_bar_keeps_its_last_state() {
        assert_eq!(texts(&lines_of(b"10%\r50%\r\x1b[K100%\ndone\r\n")), ["100%", "done"]);
        assert_eq!(texts(&lines_of(b"wait |\x08/\x08-\x08ok")), ["wait ok"]);
        assert_eq!(texts(&lines_of(b"\x1b[31mab\x1b[0mc\x08\x08d")), ["ad"]);
        assert_eq!(texts(&lines_of(b"half\x1b[2Kwhole")), ["whole"]);
        assert_eq!(texts(&lines_of(b"gone\r\x1b[K\nkept\r\x1b[0m\n")), ["", "kept"]);
    }

    #[test]
    fn tabs_are_blanks_up_to_the_next_stop() {
        assert_eq!(texts(&lines_of("a\tb\n中\tc".as_bytes())), ["a       b", "中      c"]);
    }

    #[test]
    fn missing_bytes_are_counted_in_notes() {
        let mut lines = OutputLines::starting_at(1_000);
        lines.push(1_000, b"first\ncut \x1b[3");
        lines.push(21_010, b"1m of\n");
        lines.skip_to(30_000);
        assert_eq!(
            texts(&lines),
            [
                "… 1,000 bytes before this are not shown …",
                "first",
                "cut ",
                "… 19,997 bytes omitted …",
                "1m of",
                "… 8,984 bytes are not shown, because they arrived too fast …"
            ]
        );
        assert_eq!((lines.omitted_bytes(), lines.next()), (19_997, 30_000));
        assert!(lines.line(0).is_note && !lines.line(1).is_note);
    }

    #[test]
    fn a_huge_line_is_broken_and_old_lines_are_left_out() {
        let mut lines = OutputLines::starting_at(0);
        for piece in 0..160_u64 {
            lines.push(piece << 16, &[b'x'; 1 << 16]);
        }
        let numbers = lines.numbers();
        assert_eq!(numbers.end, 160 * (1 << 16) / MAX_LINE_CHARS as u64);
        assert!(numbers.start > 0 && lines.bytes <= MAX_BYTES, "{numbers:?}");
        assert!(
            lines.line(0).text.len() <= MAX_LINE_CHARS,
            "a line that is left out stands for the nearest one"
        );
    }

    #[test]
    fn the_lines_do_not_depend_on_where_the_output_is_split() {
        let all = "\x1b[31mgr\u{fc}n\x1b[0m\t1\r2\n中\x1b[1mx\x08y".as_bytes();
        let whole = lines_of(all);
        for cut in 0..=all.len() {
            let mut lines = OutputLines::starting_at(0);
            lines.push(0, &all[..cut]);
            lines.push(cut as u64, &all[cut..]);
            for number in whole.numbers() {
                assert_eq!(lines.line(number), whole.line(number), "cut at {cut}");
            }
        }
    }

    #[test]
    fn long_lines_are_broken_to_the_width_in_columns() {
        let lines = lines_of("abcdefgh\n編譯編譯\n\n".as_bytes());
        assert_eq!(lines.line(0).row_ends(3), [3, 6, 8]);
        assert_eq!(lines.line(1).row_ends(5), [6, 12], "a wide character is not cut");
        assert_eq!(lines.line(2).row_ends(5), [0], "an empty line has one row");
        assert_eq!(lines.line(1).row_ends(1), [3, 6, 9, 12]);
    }
}
