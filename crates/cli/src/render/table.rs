//! Tables: on a terminal they fit its width, and give up columns before they cut the last one short; elsewhere they are
//! tab-separated and complete.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::{StatusStyle, TITLE};
use crate::exit::Failure;

/// The width of a terminal that does not report one, in columns.
const UNKNOWN_WIDTH: usize = 80;

/// The last column gets at least this width, or the width of its content. In columns of the terminal.
const MIN_LAST_WIDTH: usize = 24;

/// Wider cells are cut, except in the last column. In columns of the terminal.
const MAX_WIDTH: usize = 20;

/// Blanks between two columns.
const GAP: usize = 2;

/// Prefix of a note below a row.
const NOTE_MARK: &str = "  └ ";

/// Replaces the end of a cut text.
const CUT_MARK: char = '…';

/// One field of a table.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    /// What programs get instead, if it differs.
    complete: Option<String>,
    status_style: StatusStyle,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Cell {
        Cell::styled(text, StatusStyle::Plain)
    }

    pub(super) fn styled(text: impl Into<String>, status_style: StatusStyle) -> Cell {
        Cell { text: text.into(), complete: None, status_style }
    }

    /// The same field with another text for programs.
    pub(super) fn completely(self, complete: impl Into<String>) -> Cell {
        Cell { complete: Some(complete.into()), ..self }
    }

    fn for_programs(&self) -> &str {
        self.complete.as_deref().unwrap_or(&self.text)
    }
}

/// The name of a column, and how long a terminal keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// 0 keeps the column. The columns with the highest numbers are left out first where the terminal is too narrow.
    /// A column that may be left out is also left out if all its cells are blank.
    pub(super) rank: u8,
}

/// Notes about rows: a last column for programs, and a line below the row on a terminal, where a column would be too
/// narrow.
#[derive(Debug)]
pub(super) struct Notes {
    /// Name of the column.
    pub(super) name: &'static str,
    /// One note per row, possibly empty.
    pub(super) notes: Vec<String>,
}

/// A table. The last column is the one that gets the remaining width; its rank is not used.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    pub(super) columns: [Column; N],
    pub(super) rows: Vec<[Cell; N]>,
    pub(super) notes: Option<Notes>,
}

/// The columns of the terminal of standard output.
pub(super) fn terminal_width() -> usize {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0).unwrap_or(UNKNOWN_WIDTH)
}

/// Whether standard output shows colors.
pub(crate) fn shows_colors() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

impl<const N: usize> Table<N> {
    /// Prints the table on standard output.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let stdout = io::stdout();
        let text = match stdout.is_terminal() {
            true => self.for_terminal(terminal_width(), shows_colors()),
            false => self.for_programs(),
        };
        let mut stdout = stdout.lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// The table with all columns, separated by tabs.
    pub(super) fn for_programs(&self) -> String {
        let mut lines = vec![self.columns.map(|column| column.name).join("\t")];
        lines.extend(self.rows.iter().map(|row| row.each_ref().map(Cell::for_programs).join("\t")));
        if let Some(notes) = &self.notes {
            let names = std::iter::once(notes.name).chain(notes.notes.iter().map(String::as_str));
            lines.iter_mut().zip(names).for_each(|(line, note)| *line += &format!("\t{note}"));
        }
        lines.join("\n") + "\n"
    }

    /// The table in lines of at most `width` columns, or as narrow as possible.
    pub(super) fn for_terminal(&self, width: usize, colored: bool) -> String {
        let widths = self.fitting_widths(width);
        let names = self.columns.map(|column| Cell::new(column.name));
        let mut text = line(&names, &widths, colored, true);
        for (number, row) in self.rows.iter().enumerate() {
            text += &line(row, &widths, colored, false);
            let note = self.notes.as_ref().and_then(|notes| notes.notes.get(number));
            if let Some(note) = note.filter(|note| !note.is_empty()) {
                let room = width.saturating_sub(NOTE_MARK.width()).max(MIN_LAST_WIDTH);
                text += &format!("{NOTE_MARK}{}\n", cut(note, room));
            }
        }
        text
    }

    /// The width of each column; `None` for those that are left out.
    fn fitting_widths(&self, width: usize) -> [Option<usize>; N] {
        let content = std::array::from_fn(|index| {
            let cells = self.rows.iter().map(|row| row[index].text.width());
            let widest = cells.max().unwrap_or(0);
            let is_blank = widest == 0 && self.columns[index].rank > 0;
            (!is_blank).then(|| widest.max(self.columns[index].name.width()))
        });
        let mut widths: [Option<usize>; N] = content;
        widths[..N - 1].iter_mut().flatten().for_each(|width| *width = (*width).min(MAX_WIDTH));
        let last = content[N - 1].unwrap_or(0);
        loop {
            let used: usize = widths[..N - 1].iter().flatten().map(|width| width + GAP).sum();
            let room = width.saturating_sub(used);
            let droppable =
                (0..N - 1).filter(|index| widths[*index].is_some() && self.columns[*index].rank > 0);
            match droppable.max_by_key(|index| self.columns[*index].rank) {
                Some(index) if room < last.min(MIN_LAST_WIDTH) => widths[index] = None,
                Some(_) | None => {
                    widths[N - 1] = Some(last.min(room.max(MIN_LAST_WIDTH)));
                    return widths;
                }
            }
        }
    }
}

/// One line of a table, without blanks at its end.
fn line<const N: usize>(
    row: &[Cell; N],
    widths: &[Option<usize>; N],
    colored: bool,
    is_header: bool,
) -> String {
    let mut text = String::new();
    let mut blanks = 0;
    for (cell, width) in row.iter().zip(widths) {
        let Some(width) = *width else { continue };
        let shown = cut(&cell.text, width);
        if !shown.is_empty() {
            text.extend(std::iter::repeat_n(' ', blanks));
            blanks = 0;
            let style = if is_header { TITLE } else { cell.status_style.style() };
            text += &if colored { format!("{style}{shown}{style:#}") } else { shown.clone() };
        }
        blanks += width - shown.width() + GAP;
    }
    text + "\n"
}

/// A text of at most `width` columns. Ends with `…` if it is cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        shown.push(c);
    }
    shown.truncate(shown.trim_end().len());
    if width > 0 {
        shown.push(CUT_MARK);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "cargo test --workspace --all-features --no-fail-fast";

    fn column(name: &'static str, rank: u8) -> Column {
        Column { name, rank }
    }

    fn table() -> Table<4> {
        Table {
            columns: [column("ID", 0), column("STATE", 1), column("SESSION", 2), column("COMMAND", 0)],
            rows: vec![
                [
                    Cell::new("3f9c0a1b2c4d"),
                    Cell::styled("exit 0", StatusStyle::Good),
                    Cell::new("0199…a2c4").completely("0199a8c2-a2c4"),
                    Cell::new(COMMAND),
                ],
                [
                    Cell::new("81d20a1b2c4d"),
                    Cell::styled("timed out", StatusStyle::Odd),
                    Cell::new("default"),
                    Cell::new("true"),
                ],
            ],
            notes: None,
        }
    }

    fn widest_line(text: &str) -> usize {
        text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
    }

    #[test]
    fn columns_are_left_out_before_the_command_is_shorter_than_24() {
        let expected = "\
ID            STATE      SESSION    COMMAND
3f9c0a1b2c4d  exit 0     0199…a2c4  cargo test --workspace…
81d20a1b2c4d  timed out  default    true
";
        assert_eq!(table().for_terminal(60, false), expected);
        let expected = "\
ID            STATE      COMMAND
3f9c0a1b2c4d  exit 0     cargo test --workspace --all-feat…
81d20a1b2c4d  timed out  true
";
        assert_eq!(table().for_terminal(59, false), expected);
        let expected = "\
ID            COMMAND
3f9c0a1b2c4d  cargo test --workspace…
81d20a1b2c4d  true
";
        assert_eq!(table().for_terminal(38, false), expected);
        assert_eq!(table().for_terminal(20, false), expected, "a narrower terminal breaks the lines");
        for width in 38..120 {
            assert!(widest_line(&table().for_terminal(width, false)) <= width, "{width}");
        }
    }

    #[test]
    fn short_commands_leave_room_for_other_columns() {
        let mut table = table();
        table.rows.remove(0);
        assert_eq!(widest_line(&table.for_terminal(41, false)), 41);
        assert!(table.for_terminal(41, false).contains("SESSION"));
    }

    #[test]
    fn blank_columns_are_left_out() {
        let mut table = table();
        table.rows.iter_mut().for_each(|row| row[2] = Cell::new("").completely("default"));
        assert!(!table.for_terminal(200, false).contains("SESSION"));
        assert!(table.for_programs().contains("SESSION") && table.for_programs().contains("\tdefault\t"));
    }

    #[test]
    fn width_is_counted_in_columns_of_the_terminal() {
        assert_eq!(cut("編譯編譯編譯", 7), "編譯編…");
        assert_eq!(cut("編譯", 4), "編譯");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}e\u{301}", 3), "e\u{301}e\u{301}…");
        assert_eq!((cut("abc", 1), cut("abc", 0)), ("…".to_owned(), String::new()));
        let mut table = table();
        table.rows[0][3] = Cell::new("編".repeat(100));
        table.rows[1][2] = Cell::new("בנייה");
        for width in 38..120 {
            assert!(widest_line(&table.for_terminal(width, false)) <= width, "{width}");
        }
    }

    #[test]
    fn notes_are_a_column_for_programs_and_lines_on_a_terminal() {
        let notes = vec![String::new(), "exit status 3: it would not, and so on".to_owned()];
        let table = Table { notes: Some(Notes { name: "NOTE", notes }), ..table() };
        let expected = format!(
            "ID\tSTATE\tSESSION\tCOMMAND\tNOTE\n\
             3f9c0a1b2c4d\texit 0\t0199a8c2-a2c4\t{COMMAND}\t\n\
             81d20a1b2c4d\ttimed out\tdefault\ttrue\texit status 3: it would not, and so on\n"
        );
        assert_eq!(table.for_programs(), expected);
        let text = table.for_terminal(38, false);
        assert!(text.ends_with("true\n  └ exit status 3: it would not, and…\n"), "{text}");
    }

    #[test]
    fn colors_appear_only_on_request() {
        assert!(table().for_terminal(80, true).contains("\x1b["));
        assert!(!table().for_terminal(80, false).contains('\x1b'));
        assert!(!table().for_programs().contains('\x1b'));
    }
}
