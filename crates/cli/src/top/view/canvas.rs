//! Writes texts into cells, and the styles of the view.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::render::{StatusStyle, cut};

/// Blanks between two columns.
pub(super) const GAP: u16 = 2;

pub(super) const PLAIN: Style = Style::new();
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const QUIET: Style = Style::new().fg(Color::DarkGray);
pub(super) const ALERT: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);

/// Writes a text of at most `width` columns at a place, and cuts it with `…`. Returns the column behind it.
pub(super) fn put(buffer: &mut Buffer, (x, y): (u16, u16), text: &str, width: u16, style: Style) -> u16 {
    let width = width.min(buffer.area.width.saturating_sub(x));
    if width == 0 || y >= buffer.area.height {
        return x;
    }
    buffer.set_stringn(x, y, cut(text, usize::from(width)), usize::from(width), style).0
}

/// Writes a text that ends before a column.
pub(super) fn put_right(buffer: &mut Buffer, right: u16, y: u16, text: &str, style: Style) {
    let x = right.saturating_sub(columns(text));
    put(buffer, (x, y), text, right - x, style);
}

pub(super) fn columns(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// Marks a line as selected, also where there are no colors.
pub(super) fn mark_selected(buffer: &mut Buffer, y: u16) {
    let area = Rect { x: 0, y, width: buffer.area.width, height: 1 };
    put(buffer, (0, y), ">", 1, BOLD);
    buffer.set_style(area, Style::new().add_modifier(Modifier::REVERSED));
}

/// The style of a status: the colors of the tables.
pub(super) fn style_of(status: StatusStyle) -> Style {
    match status {
        StatusStyle::Good => Style::new().fg(Color::Green),
        StatusStyle::Bad => Style::new().fg(Color::Red),
        StatusStyle::Odd => Style::new().fg(Color::Yellow),
        StatusStyle::Active => Style::new().fg(Color::Cyan),
        StatusStyle::Quiet => QUIET,
        StatusStyle::Plain => PLAIN,
    }
}
