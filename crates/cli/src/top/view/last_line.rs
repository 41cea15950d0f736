//! Draws the last line: a question, a message, or the keys.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Size;

use super::canvas::{ALERT, BOLD, GAP, QUIET, columns, put};
use crate::render::one_line;
use crate::top::model::Model;

/// Draws the question that is open, else the message, else the keys.
pub(super) fn draw_last_line(
    model: &Model,
    buffer: &mut Buffer,
    keys: &[(&str, &str)],
    last_keys: &[(&str, &str)],
) {
    let Size { width, height } = buffer.area.as_size();
    let y = height - 1;
    if let Some(entry) = model.asks_to_kill.and_then(|id| model.entry(id)) {
        let (question, answers) = (format!("Kill {}?", entry.described()), "y kill  n cancel");
        // The answers stay visible.
        let room = width.saturating_sub(columns(answers) + GAP);
        let x = put(buffer, (0, y), &question, room, ALERT);
        put(buffer, (x + GAP, y), answers, width - (x + GAP).min(width), BOLD);
    } else if let Some(notice) = &model.notice {
        let style = if notice.is_error { ALERT } else { BOLD };
        put(buffer, (0, y), &one_line(&notice.text), width, style);
    } else {
        draw_keys(buffer, keys, last_keys);
    }
}

/// Draws as many keys as fit, and the last ones in any case.
pub(super) fn draw_keys(buffer: &mut Buffer, keys: &[(&str, &str)], last_keys: &[(&str, &str)]) {
    let Size { width, height } = buffer.area.as_size();
    let needed = |(key, word): &(&str, &str)| columns(key) + 1 + columns(word) + GAP;
    let last: u16 = last_keys.iter().map(needed).sum();
    let mut room = width.saturating_sub(last.saturating_sub(GAP));
    let fitting = keys.iter().filter(|key| {
        let fits = needed(key) <= room;
        room = if fits { room - needed(key) } else { 0 };
        fits
    });
    let mut x = 0;
    for (key, word) in fitting.chain(last_keys) {
        x = put(buffer, (x, height - 1), key, width.saturating_sub(x), BOLD) + 1;
        x = put(buffer, (x, height - 1), word, width.saturating_sub(x), QUIET) + GAP;
    }
}
