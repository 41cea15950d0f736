//! Draws the state of the view. Pure.

mod canvas;
mod help;
mod last_line;
mod list;
mod output;

use homing::core::Timestamp;
use ratatui_core::buffer::Buffer;

use self::canvas::{PLAIN, put};
use super::layout::MIN_SIZE;
use super::model::{Mode, Model};

/// Draws the whole screen.
pub(super) fn draw(model: &Model, now: Timestamp, buffer: &mut Buffer) {
    let size = buffer.area.as_size();
    if size.width < MIN_SIZE.width || size.height < MIN_SIZE.height {
        put(buffer, (0, 0), "too small", size.width, PLAIN);
        return;
    }
    match &model.mode {
        Mode::List | Mode::Filter => list::draw_list(model, now, buffer),
        Mode::Help => help::draw_help(buffer),
        Mode::Output(view) => output::draw_output(model, view, now, buffer),
    }
}
