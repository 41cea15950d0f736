//! Turns frames into bytes for the terminal: only the cells that changed, with xterm control sequences.

use std::fmt::Write as _;

use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::{Rect, Size};
use ratatui_core::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// Resets the style, and clears the screen.
const CLEAR: &str = "\x1b[0m\x1b[2J";

/// What the terminal shows.
#[derive(Debug)]
pub(super) struct Painter {
    shown: Buffer,
    has_colors: bool,
}

impl Painter {
    /// A painter that has drawn nothing.
    pub(super) fn new(has_colors: bool) -> Painter {
        Painter { shown: Buffer::empty(Rect::ZERO), has_colors }
    }

    /// Forgets what the terminal shows, so that the next frame is drawn as a whole.
    pub(super) fn forget(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }

    /// The bytes that make a terminal of this size show what `draw` draws. Empty if nothing changed.
    pub(super) fn paint(&mut self, size: Size, draw: impl FnOnce(&mut Buffer)) -> String {
        let area = Rect { x: 0, y: 0, width: size.width, height: size.height };
        let mut frame = Buffer::empty(area);
        draw(&mut frame);
        let mut text = String::new();
        if self.shown.area != area {
            self.shown = Buffer::empty(area);
            text.push_str(CLEAR);
        }
        self.encode(&frame, &mut text);
        self.shown = frame;
        text
    }

    fn encode(&self, frame: &Buffer, text: &mut String) {
        // Where the terminal writes next, if that is certain.
        let mut cursor = None;
        let mut style = None;
        for (x, y, cell) in self.shown.diff_iter(frame) {
            if cursor != Some((x, y)) {
                let _ = write!(text, "\x1b[{};{}H", y + 1, x + 1);
            }
            let wanted = self.style(cell);
            if style != Some(wanted) {
                push_style(wanted, text);
                style = Some(wanted);
            }
            let symbol = cell.symbol();
            text.push_str(symbol);
            // Terminals disagree about the width of some characters.
            cursor = (symbol.is_ascii() && symbol.width() == 1).then_some((x + 1, y));
        }
        if style.is_some() {
            text.push_str("\x1b[0m");
        }
    }

    fn style(&self, cell: &Cell) -> (Color, Color, Modifier) {
        match self.has_colors {
            true => (cell.fg, cell.bg, cell.modifier),
            false => (Color::Reset, Color::Reset, cell.modifier),
        }
    }
}

/// SGR (ECMA-48, 8.3.117).
fn push_style((foreground, background, modifier): (Color, Color, Modifier), text: &mut String) {
    text.push_str("\x1b[0");
    for (flag, code) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
        (Modifier::CROSSED_OUT, 9),
    ] {
        if modifier.contains(flag) {
            let _ = write!(text, ";{code}");
        }
    }
    push_color(foreground, 30, text);
    push_color(background, 40, text);
    text.push('m');
}

/// `base` is 30 for the foreground, and 40 for the background.
fn push_color(color: Color, base: u8, text: &mut String) {
    let code = match color {
        Color::Reset => return,
        Color::Black => base,
        Color::Red => base + 1,
        Color::Green => base + 2,
        Color::Yellow => base + 3,
        Color::Blue => base + 4,
        Color::Magenta => base + 5,
        Color::Cyan => base + 6,
        Color::Gray => base + 7,
        Color::DarkGray => base + 60,
        Color::LightRed => base + 61,
        Color::LightGreen => base + 62,
        Color::LightYellow => base + 63,
        Color::LightBlue => base + 64,
        Color::LightMagenta => base + 65,
        Color::LightCyan => base + 66,
        Color::White => base + 67,
        Color::Indexed(index) => {
            let _ = write!(text, ";{};5;{index}", base + 8);
            return;
        }
        Color::Rgb(red, green, blue) => {
            let _ = write!(text, ";{};2;{red};{green};{blue}", base + 8);
            return;
        }
    };
    let _ = write!(text, ";{code}");
}

#[cfg(test)]
mod tests {
    use ratatui_core::style::Style;

    use super::*;

    const SIZE: Size = Size { width: 10, height: 2 };

    fn paint(painter: &mut Painter, text: &str, style: Style) -> String {
        painter.paint(SIZE, |buffer| buffer.set_string(0, 0, text, style))
    }

    #[test]
    fn only_changed_cells_are_written() {
        let mut painter = Painter::new(true);
        assert_eq!(paint(&mut painter, "abc", Style::new()), "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0mabc\x1b[0m");
        assert_eq!(paint(&mut painter, "abd", Style::new()), "\x1b[1;3H\x1b[0md\x1b[0m");
        assert_eq!(paint(&mut painter, "abd", Style::new()), "");
        painter.forget();
        assert_eq!(paint(&mut painter, "abd", Style::new()), "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0mabd\x1b[0m");
    }

    #[test]
    fn another_size_draws_everything_again() {
        let mut painter = Painter::new(true);
        paint(&mut painter, "abc", Style::new());
        let smaller = Size { width: 3, height: 1 };
        let text = painter.paint(smaller, |buffer| buffer.set_string(0, 0, "abc", Style::new()));
        assert_eq!(text, "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0mabc\x1b[0m");
    }

    #[test]
    fn colors_are_written_in_every_form_and_only_on_request() {
        let style = Style::new().fg(Color::Red).bg(Color::White).add_modifier(Modifier::BOLD);
        assert!(paint(&mut Painter::new(true), "x", style).contains("\x1b[0;1;31;107mx"));
        assert!(paint(&mut Painter::new(false), "x", style).contains("\x1b[0;1mx"));
        let style = Style::new().fg(Color::Indexed(208)).bg(Color::Rgb(1, 2, 3));
        assert!(paint(&mut Painter::new(true), "x", style).contains("\x1b[0;38;5;208;48;2;1;2;3mx"));
    }

    #[test]
    fn the_cursor_is_placed_again_behind_characters_of_uncertain_width() {
        let text = paint(&mut Painter::new(true), "a編b", Style::new());
        assert_eq!(text, "\x1b[0m\x1b[2J\x1b[1;1H\x1b[0ma編\x1b[1;4Hb\x1b[0m");
    }
}
