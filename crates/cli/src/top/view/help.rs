//! Draws the help.

use ratatui_core::buffer::Buffer;

use super::canvas::{BOLD, PLAIN, put};
use super::last_line::draw_keys;

/// What the help says. At most nine lines of 38 columns, so that a small screen shows all of them.
const HELP: [(&str, &str); 9] = [
    ("↑ ↓ Tab", "select a job, a section"),
    ("Enter", "show the output of the job"),
    ("Space", "in the output: pause, follow"),
    ("k", "kill the job, after a question"),
    ("a", "acknowledge: deliver no more"),
    ("r", "retry: deliver again"),
    ("d", "drop: stop the delivery"),
    ("/", "filter the jobs; Esc clears it"),
    ("q Esc", "quit, go back"),
];

/// Columns of the keys in the help.
const HELP_KEYS: u16 = 8;

pub(super) fn draw_help(buffer: &mut Buffer) {
    let size = buffer.area.as_size();
    put(buffer, (0, 0), "Keys", size.width, BOLD);
    for (y, (keys, meaning)) in (1..size.height - 1).zip(HELP) {
        put(buffer, (2, y), keys, HELP_KEYS, BOLD);
        put(buffer, (2 + HELP_KEYS, y), meaning, size.width.saturating_sub(2 + HELP_KEYS), PLAIN);
    }
    draw_keys(buffer, &[], &[("any key", "back")]);
}
