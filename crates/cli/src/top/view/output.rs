//! Draws the output of one job.

use homing::Job;
use homing::core::text::grouped;
use homing::core::{Timestamp, format_duration};
use ratatui_core::buffer::Buffer;
use ratatui_core::style::Style;

use super::canvas::{BOLD, GAP, PLAIN, QUIET, put, style_of};
use super::last_line::draw_last_line;
use crate::render::{StatusStyle, bytes, duration, short_session, state, title};
use crate::top::model::Model;
use crate::top::output_view::OutputView;

const KEYS: [(&str, &str); 6] =
    [("↑↓", "scroll"), ("k", "kill"), ("a", "acknowledge"), ("r", "retry"), ("d", "drop"), ("End", "follow")];

/// Lines above the output.
const FIRST_LINE: u16 = 2;

pub(super) fn draw_output(model: &Model, view: &OutputView, now: Timestamp, buffer: &mut Buffer) {
    let size = buffer.area.as_size();
    match model.entry(view.id) {
        Some(entry) => draw_job(&entry.job, view, now, buffer),
        None => drop(put(buffer, (0, 0), &format!("Job {} was removed.", view.id), size.width, BOLD)),
    }
    for (y, row) in (FIRST_LINE..size.height - 1).zip(view.rows(size)) {
        let line = view.lines.line(row.line);
        if line.is_note {
            put(buffer, (0, y), &line.text[row.bytes], size.width, QUIET);
            continue;
        }
        let (mut x, mut start) = (0, row.bytes.start);
        for (end, style) in &line.parts {
            let end = (*end).min(row.bytes.end);
            if start < end {
                let room = usize::from(size.width - x);
                x = buffer.set_stringn(x, y, &line.text[start..end], room, *style).0;
                start = end;
            }
        }
    }
    let pause = if view.is_followed() { "pause" } else { "follow" };
    draw_last_line(model, buffer, &KEYS, &[("Space", pause), ("q", "back")]);
}

/// The two lines above the output: the job, and what is known of its output.
fn draw_job(job: &Job, view: &OutputView, now: Timestamp, buffer: &mut Buffer) {
    let width = buffer.area.width;
    let status = state(job);
    let mut x = put(buffer, (0, 0), &status, width, style_of(StatusStyle::of_job(job))) + GAP;
    if let Some(duration) = duration(job, now) {
        x = put(buffer, (x, 0), &format_duration(duration), width.saturating_sub(x), PLAIN) + GAP;
    }
    x = put(buffer, (x, 0), &title(job), width.saturating_sub(x), BOLD) + GAP;
    let rest = format!("{}  session {}", job.id, short_session(&job.session));
    put(buffer, (x, 0), &rest, width.saturating_sub(x), QUIET);

    let mut x = 0;
    let mut part = |text: &str, style: Style| {
        x = put(buffer, (x, 1), text, width.saturating_sub(x), style) + GAP;
    };
    match (view.is_complete, view.is_followed()) {
        (true, _) => part("complete", QUIET),
        (false, true) => part("following", style_of(StatusStyle::Active)),
        (false, false) => part("paused", style_of(StatusStyle::Odd)),
    }
    part(&bytes(job.output.total_bytes.max(view.lines.next())), PLAIN);
    let omitted = job.output.omitted_bytes.max(view.lines.omitted_bytes());
    for (count, what) in [(omitted, "omitted"), (job.output.dropped_bytes, "lost to a full disk")] {
        if count > 0 {
            part(&format!("{} bytes {what}", grouped(count)), style_of(StatusStyle::Odd));
        }
    }
    if job.outcome().is_some() {
        part(
            &format!("follow-up {}", job.follow_up.state),
            style_of(StatusStyle::of_follow_up(job.follow_up.state)),
        );
    }
}
