//! Tables: aligned, colored and truncated to the width of a terminal; tab-separated elsewhere.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::Ansi256Color;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Color, ColumnConstraint, ContentArrangement, Row, Width};

use super::style::StatusStyle;
use crate::exit::Failure;

/// Columns up to this width are never truncated on a terminal. Wider columns get at most twice this width, and the
/// last column gets the rest. In characters.
const SHORT_COLUMN: u16 = 14;

/// Width of a terminal that reports a width of 0, in characters.
const UNKNOWN_WIDTH: u16 = 80;

/// Prefix of a note below a row.
const NOTE_MARK: &str = "  └ ";

/// One field of a table.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    status_style: StatusStyle,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Cell {
        Cell::styled(text, StatusStyle::Plain)
    }

    pub(super) fn styled(text: impl Into<String>, status_style: StatusStyle) -> Cell {
        Cell { text: text.into(), status_style }
    }
}

/// Notes about rows: a last column for programs, and a line below the row on a terminal, where a column would be too
/// narrow.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    /// Name of the column.
    pub(super) name: &'a str,
    /// One note per row, possibly empty.
    pub(super) notes: Vec<String>,
}

/// Prints a table on standard output.
pub(super) fn print_table<const N: usize>(header: [&str; N], rows: &[[Cell; N]]) -> Result<(), Failure> {
    print_table_with_notes(header, rows, None)
}

/// Prints a table with notes on standard output.
pub(super) fn print_table_with_notes<const N: usize>(
    header: [&str; N],
    rows: &[[Cell; N]],
    notes: Option<&Notes<'_>>,
) -> Result<(), Failure> {
    let stdout = io::stdout();
    let text = if stdout.is_terminal() {
        let width = comfy_table::Table::new().width().filter(|width| *width > 0).or(Some(UNKNOWN_WIDTH));
        let colored = AutoStream::choice(&stdout) != ColorChoice::Never;
        let table = for_terminal(header, rows, width, colored);
        notes.map_or(table.clone(), |notes| with_note_lines(&table, notes, width))
    } else {
        for_programs(header, rows, notes)
    };
    let mut stdout = stdout.lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

fn for_programs<const N: usize>(header: [&str; N], rows: &[[Cell; N]], notes: Option<&Notes<'_>>) -> String {
    let mut lines = vec![header.join("\t")];
    lines.extend(rows.iter().map(|row| row.each_ref().map(|cell| cell.text.as_str()).join("\t")));
    if let Some(notes) = notes {
        let names = std::iter::once(notes.name).chain(notes.notes.iter().map(String::as_str));
        lines.iter_mut().zip(names).for_each(|(line, note)| *line += &format!("\t{note}"));
    }
    lines.join("\n") + "\n"
}

/// Inserts the notes into a table that has one header line and one line per row.
fn with_note_lines(table: &str, notes: &Notes<'_>, width: Option<u16>) -> String {
    let room = width.map_or(usize::MAX, |width| usize::from(width).saturating_sub(NOTE_MARK.chars().count()));
    let mut text = String::new();
    for (number, line) in table.lines().enumerate() {
        text += &format!("{line}\n");
        let note = number.checked_sub(1).and_then(|row| notes.notes.get(row)).filter(|note| !note.is_empty());
        if let Some(note) = note {
            let mut shown: String = note.chars().take(room).collect();
            if shown.len() < note.len() {
                shown.pop();
                shown.push('…');
            }
            text += &format!("{NOTE_MARK}{shown}\n");
        }
    }
    text
}

fn for_terminal<const N: usize>(
    header: [&str; N],
    rows: &[[Cell; N]],
    width: Option<u16>,
    colored: bool,
) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    if colored {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    let mut names = Row::from(header.map(|name| comfy_table::Cell::new(name).add_attribute(Attribute::Bold)));
    names.max_height(1);
    table.set_header(names);
    for row in rows {
        let mut cells = Row::from(row.each_ref().map(comfy_cell));
        cells.max_height(1);
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let widths = table.column_max_content_widths();
    for (column, width) in table.column_iter_mut().zip(widths).take(N - 1) {
        column.set_constraint(if width <= SHORT_COLUMN {
            ColumnConstraint::ContentWidth
        } else {
            ColumnConstraint::UpperBoundary(Width::Fixed(2 * SHORT_COLUMN))
        });
    }
    table.trim_fmt() + "\n"
}

fn comfy_cell(cell: &Cell) -> comfy_table::Cell {
    let text = comfy_table::Cell::new(&cell.text);
    match cell.status_style.color() {
        Some(color) => text.fg(Color::AnsiValue(Ansi256Color::from_ansi(color).index())),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 3] = ["ID", "STATE", "COMMAND"];

    fn rows() -> [[Cell; 3]; 2] {
        let command = "cargo test --workspace --all-features --no-fail-fast";
        [
            [Cell::new("3f9c0a1b2c4d"), Cell::styled("exit 0", StatusStyle::Good), Cell::new(command)],
            [Cell::new("81d20a1b2c4d"), Cell::styled("timed out", StatusStyle::Odd), Cell::new("true")],
        ]
    }

    #[test]
    fn a_terminal_table_fits_and_keeps_ids_whole() {
        let expected = "\
ID            STATE      COMMAND
3f9c0a1b2c4d  exit 0     cargo test…
81d20a1b2c4d  timed out  true
";
        assert_eq!(for_terminal(HEADER, &rows(), Some(42), false), expected);
        let narrow = for_terminal(HEADER, &rows(), Some(10), false);
        assert!(narrow.contains("3f9c0a1b2c4d") && narrow.lines().count() == 3, "{narrow}");
    }

    #[test]
    fn notes_are_a_column_for_programs_and_lines_on_a_terminal() {
        let notes =
            Notes { name: "NOTE", notes: vec![String::new(), "exit status 3: it would not".to_owned()] };
        let expected = "\
ID\tSTATE\tCOMMAND\tNOTE
3f9c0a1b2c4d\texit 0\tcargo test --workspace --all-features --no-fail-fast\t
81d20a1b2c4d\ttimed out\ttrue\texit status 3: it would not
";
        assert_eq!(for_programs(HEADER, &rows(), Some(&notes)), expected);
        let expected = "\
ID            STATE
3f9c0a1b2c4d  exit 0
81d20a1b2c4d  timed out
  └ exit status 3: it would…
";
        let table = "ID            STATE\n3f9c0a1b2c4d  exit 0\n81d20a1b2c4d  timed out\n";
        assert_eq!(with_note_lines(table, &notes, Some(28)), expected);
    }

    #[test]
    fn colors_appear_only_on_request() {
        assert!(for_terminal(HEADER, &rows(), Some(80), true).contains("\x1b["));
        assert!(!for_terminal(HEADER, &rows(), Some(80), false).contains('\x1b'));
        assert!(!for_programs(HEADER, &rows(), None).contains('\x1b'));
    }
}
