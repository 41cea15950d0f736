//! The output of one job: which part of it is shown, and whether it is followed. Pure.

use std::ops::Range;

use homing::JobId;
use ratatui_core::layout::Size;

use super::output_lines::OutputLines;

/// Lines of the screen around the output.
const OTHER_LINES: u16 = 3;

/// The output of one job.
#[derive(Debug)]
pub(super) struct OutputView {
    pub(super) id: JobId,
    pub(super) lines: OutputLines,
    /// Where the screen begins while the output is paused; `None` while it is followed.
    paused_at: Option<Row>,
    /// Whether all output has been read.
    pub(super) is_complete: bool,
}

/// A row of the screen: a line, and the part of it that fits the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    line: u64,
    part: usize,
}

/// A row to draw: the number of the line, and the bytes of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShownRow {
    pub(super) line: u64,
    pub(super) bytes: Range<usize>,
}

impl OutputView {
    pub(super) fn new(id: JobId, lines: OutputLines) -> OutputView {
        OutputView { id, lines, paused_at: None, is_complete: false }
    }

    /// Whether new output is shown as it arrives.
    pub(super) fn is_followed(&self) -> bool {
        self.paused_at.is_none()
    }

    /// Shows the end, and new output as it arrives.
    pub(super) fn follow(&mut self) {
        self.paused_at = None;
    }

    /// Pauses, or follows again.
    pub(super) fn toggle(&mut self, size: Size) {
        self.paused_at = match self.paused_at {
            Some(_) => None,
            None => Some(self.first_row(size)),
        };
    }

    /// Moves by rows, and pauses if this leaves the end. Follows again at the end.
    pub(super) fn move_by(&mut self, distance: isize, size: Size) {
        let mut row = self.first_row(size);
        for _ in 0..distance.unsigned_abs() {
            let next = if distance < 0 { self.before(row, size) } else { self.after(row, size) };
            let Some(next) = next else { break };
            row = next;
        }
        let last = self.last_page(size);
        let follows = row >= last && distance > 0 && !self.is_complete;
        self.paused_at = if follows { None } else { Some(row.min(last)) };
    }

    /// Pauses at the beginning of what is kept.
    pub(super) fn move_to_start(&mut self) {
        self.paused_at = Some(Row { line: self.lines.numbers().start, part: 0 });
    }

    /// How far the keys for pages move, in rows.
    pub(super) fn page(size: Size) -> isize {
        isize::try_from(height(size).saturating_sub(1).max(1)).unwrap_or(1)
    }

    /// The rows to draw.
    pub(super) fn rows(&self, size: Size) -> Vec<ShownRow> {
        let mut rows = Vec::new();
        let mut row = Some(self.first_row(size));
        while let Some(at) = row.filter(|_| rows.len() < height(size)) {
            let ends = self.ends(at.line, size);
            let start = if at.part == 0 { 0 } else { ends[at.part - 1] };
            rows.push(ShownRow { line: at.line, bytes: start..ends[at.part] });
            row = self.after(at, size);
        }
        rows
    }

    fn ends(&self, line: u64, size: Size) -> Vec<usize> {
        self.lines.line(line).row_ends(usize::from(size.width.max(1)))
    }

    /// The first row on the screen.
    fn first_row(&self, size: Size) -> Row {
        let Some(row) = self.paused_at else { return self.last_page(size) };
        // Lines may have been left out since, and the width may be another one.
        let numbers = self.lines.numbers();
        if row.line < numbers.start {
            return Row { line: numbers.start, part: 0 };
        }
        let line = row.line.min(numbers.end - 1);
        Row { line, part: row.part.min(self.ends(line, size).len() - 1) }
    }

    /// The first row where the last one is at the bottom of the screen.
    fn last_page(&self, size: Size) -> Row {
        let last = self.lines.numbers().end - 1;
        let mut row = Row { line: last, part: self.ends(last, size).len() - 1 };
        for _ in 1..height(size) {
            let Some(before) = self.before(row, size) else { break };
            row = before;
        }
        row
    }

    fn before(&self, row: Row, size: Size) -> Option<Row> {
        match row {
            Row { line, part: 1.. } => Some(Row { line, part: row.part - 1 }),
            Row { line, .. } if line > self.lines.numbers().start => {
                Some(Row { line: line - 1, part: self.ends(line - 1, size).len() - 1 })
            }
            Row { .. } => None,
        }
    }

    fn after(&self, row: Row, size: Size) -> Option<Row> {
        if row.part + 1 < self.ends(row.line, size).len() {
            return Some(Row { part: row.part + 1, ..row });
        }
        (row.line + 1 < self.lines.numbers().end).then_some(Row { line: row.line + 1, part: 0 })
    }
}

/// The rows of the screen that show output.
fn height(size: Size) -> usize {
    usize::from(size.height.saturating_sub(OTHER_LINES).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five rows of output.
    const SIZE: Size = Size { width: 10, height: 5 + OTHER_LINES };

    fn view(output: &str) -> OutputView {
        let mut lines = OutputLines::starting_at(0);
        lines.push(0, output.as_bytes());
        OutputView::new("3f9c0a1b2c4d".parse().unwrap(), lines)
    }

    fn twenty() -> OutputView {
        view(&(1..=20).map(|number| format!("line {number}\n")).collect::<String>())
    }

    fn shown(view: &OutputView) -> Vec<String> {
        let rows = view.rows(SIZE).into_iter();
        rows.map(|row| view.lines.line(row.line).text[row.bytes].to_owned()).collect()
    }

    #[test]
    fn the_end_is_followed() {
        let mut view = twenty();
        assert_eq!(shown(&view), ["line 16", "line 17", "line 18", "line 19", "line 20"]);
        view.lines.push(view.lines.next(), b"line 21\n");
        assert_eq!(shown(&view).last().unwrap(), "line 21");
    }

    #[test]
    fn moving_up_pauses_and_moving_to_the_end_follows_again() {
        let mut view = twenty();
        view.move_by(-2, SIZE);
        assert!(!view.is_followed());
        assert_eq!(shown(&view)[0], "line 14");
        view.lines.push(view.lines.next(), b"line 21\n");
        assert_eq!(shown(&view)[0], "line 14", "it stays where it is");
        view.move_by(2, SIZE);
        assert!(!view.is_followed());
        view.move_by(1, SIZE);
        assert!(view.is_followed());
        view.move_to_start();
        assert_eq!(shown(&view)[0], "line 1");
        view.move_by(-5, SIZE);
        assert_eq!(shown(&view)[0], "line 1");
        view.follow();
        assert_eq!(shown(&view)[4], "line 21");
    }

    #[test]
    fn a_pause_keeps_what_is_shown() {
        let mut view = twenty();
        view.toggle(SIZE);
        view.lines.push(view.lines.next(), b"more\nmore\n");
        assert_eq!(shown(&view)[4], "line 20");
        view.toggle(SIZE);
        assert_eq!(shown(&view)[4], "more");
    }

    #[test]
    fn long_lines_continue_on_the_next_row() {
        let mut view = view("first\n0123456789abcdefghijKLM\n\nlast");
        assert_eq!(shown(&view), ["0123456789", "abcdefghij", "KLM", "", "last"]);
        view.move_by(-1, SIZE);
        assert_eq!(shown(&view), ["first", "0123456789", "abcdefghij", "KLM", ""]);
        view.move_to_start();
        view.move_by(2, SIZE);
        assert_eq!(shown(&view)[0], "0123456789", "the last page is full");
    }

    #[test]
    fn a_short_output_begins_at_the_top() {
        assert_eq!(shown(&view("one\ntwo\n")), ["one", "two"]);
        assert_eq!(shown(&view("")), [""]);
        let mut view = view("one\n");
        view.move_by(-1, SIZE);
        view.move_by(1, SIZE);
        assert_eq!(shown(&view), ["one"]);
    }

    #[test]
    fn a_pause_whose_lines_are_left_out_goes_on_with_the_oldest_line() {
        let mut view = twenty();
        view.move_to_start();
        for _ in 0..20_000 {
            view.lines.push(view.lines.next(), b"x\n");
        }
        assert!(view.lines.numbers().start > 0);
        assert_eq!(shown(&view), ["x"; 5]);
    }
}
