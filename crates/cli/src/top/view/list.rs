//! Draws the list: jobs that need attention, running jobs, finished jobs.

use std::time::Duration;

use homing::Job;
use homing::core::text::{flatten, grouped};
use homing::core::{Timestamp, format_duration};
use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier, Style};

use super::canvas::{BOLD, GAP, PLAIN, QUIET, columns, mark_selected, put, put_right, style_of};
use super::last_line::draw_last_line;
use crate::local_time::time_or_day;
use crate::render::{StatusStyle, duration, in_one_unit, short_session, state, title};
use crate::top::entry::{Entry, NOBODY, Section, notified};
use crate::top::layout::{Place, Reasons};
use crate::top::model::{Mode, Model};

/// Widths of screens from which on there is space for more columns.
const NARROW: u16 = 30;
const MEDIUM: u16 = 60;
const WIDE: u16 = 80;

/// Widths of columns.
const MARGIN: u16 = 2;
const STATE: u16 = 12;
const SHORT_STATE: u16 = 9;
const SESSION: u16 = 12;
const TIME: u16 = 8;
const BAR: u16 = 10;
const SHORT_BAR: u16 = 6;
const AGE: u16 = 7;
const AGE_AND_LIMIT: u16 = 14;
const LAST_OUTPUT: u16 = 14;
const DURATION: u16 = 7;
const NOTIFIED: u16 = 12;

const KEYS: [(&str, &str); 6] = [
    ("Enter", "output"),
    ("k", "kill"),
    ("a", "acknowledge"),
    ("r", "retry"),
    ("d", "drop"),
    ("/", "filter"),
];
const LAST_KEYS: [(&str, &str); 2] = [("?", "help"), ("q", "quit")];

/// Columns of a line, from the right to the left. What is left over is for the title.
struct Row<'a> {
    buffer: &'a mut Buffer,
    y: u16,
    left: u16,
    right: u16,
}

impl Row<'_> {
    fn new(buffer: &mut Buffer, y: u16) -> Row<'_> {
        let right = buffer.area.width;
        Row { buffer, y, left: MARGIN, right }
    }

    /// A column at the left end.
    fn left(&mut self, text: &str, width: u16, style: Style) {
        put(self.buffer, (self.left, self.y), text, width.min(self.right.saturating_sub(self.left)), style);
        self.left += width + GAP;
    }

    /// A column at the right end.
    fn right(&mut self, text: &str, width: u16, style: Style) {
        self.right = self.right.saturating_sub(width);
        put(self.buffer, (self.right, self.y), text, width, style);
        self.right = self.right.saturating_sub(GAP);
    }

    /// The column that gets the remaining width.
    fn rest(self, text: &str, style: Style) {
        put(self.buffer, (self.left, self.y), text, self.right.saturating_sub(self.left), style);
    }
}

pub(super) fn draw_list(model: &Model, now: Timestamp, buffer: &mut Buffer) {
    draw_title(model, buffer);
    if model.shown.is_empty() {
        draw_nothing(model, buffer);
    }
    for place in model.places(buffer.area.as_size()).sections {
        draw_heading(model, &place, buffer);
        let entries = model.section(place.section).enumerate().skip(place.shown.start).take(place.rows());
        let mut y = place.y + 1;
        for (position, entry) in entries {
            draw_entry(model, entry, now, buffer, y);
            let is_selected = place.selected == Some(position);
            if is_selected {
                mark_selected(buffer, y);
            }
            y += 1;
            let has_reason = match place.reasons {
                Reasons::All => true,
                Reasons::Selected => is_selected,
                Reasons::None => false,
            };
            if has_reason {
                draw_reason(entry, buffer, y);
                y += 1;
            }
        }
    }
    if matches!(model.mode, Mode::Filter) && model.asks_to_kill.is_none() {
        draw_filter(model, buffer);
    } else {
        draw_last_line(model, buffer, &KEYS, &LAST_KEYS);
    }
}

fn draw_title(model: &Model, buffer: &mut Buffer) {
    let width = buffer.area.width;
    let [attention, running, finished] = Section::ALL.map(|section| model.count(section));
    let is_narrow = width < MEDIUM;
    let mut x = 0;
    let mut part = |buffer: &mut Buffer, text: &str, style: Style| {
        x = put(buffer, (x, 0), text, width.saturating_sub(x), style) + GAP;
    };
    if !is_narrow {
        part(buffer, "homing", BOLD);
    }
    let need = match (attention, is_narrow) {
        (_, true) => "attention",
        (1, false) => "needs attention",
        (_, false) => "need attention",
    };
    let style =
        if attention > 0 { Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD) } else { PLAIN };
    part(buffer, &format!("{} {need}", grouped(attention as u64)), style);
    part(buffer, &format!("{} running", grouped(running as u64)), PLAIN);
    let more = if model.jobs.has_more { "+" } else { "" };
    part(buffer, &format!("{}{more} finished", grouped(finished as u64)), PLAIN);
    if model.jobs.unsupported > 0 {
        let count = grouped(model.jobs.unsupported as u64);
        part(buffer, &format!("{count} not supported by this version"), PLAIN);
    }
    let mut shown = Vec::new();
    if let Some(session) = &model.session {
        shown.push(format!("session {}", short_session(session)));
    }
    if !model.filter.is_empty() && !matches!(model.mode, Mode::Filter) {
        shown.push(format!("filter {}", flatten(&model.filter)));
    }
    let shown = shown.join("  ");
    if !shown.is_empty() && x + columns(&shown) <= width {
        put_right(buffer, width, 0, &shown, QUIET);
    }
}

fn draw_nothing(model: &Model, buffer: &mut Buffer) {
    let lines = match model.jobs.entries.is_empty() {
        false => ["No job matches the filter.", "Esc clears it."],
        true => ["There are no jobs.", "homing run COMMAND launches one."],
    };
    let width = buffer.area.width.saturating_sub(MARGIN);
    for (y, line) in (2..).zip(lines) {
        put(buffer, (MARGIN, y), line, width, PLAIN);
    }
}

fn draw_heading(model: &Model, place: &Place, buffer: &mut Buffer) {
    let width = buffer.area.width;
    let style = match place.section {
        Section::Attention => BOLD.fg(Color::Yellow),
        Section::Running | Section::Finished => BOLD,
    };
    let x = put(buffer, (0, place.y), place.section.title(), width, style);
    let mut text = grouped(place.count as u64);
    if place.rows() < place.count {
        let (first, last) = (place.shown.start + 1, place.shown.end);
        text = format!("{}-{} of {text}", grouped(first.min(last) as u64), grouped(last as u64));
    }
    if place.section == Section::Finished && model.jobs.has_more {
        text += ", older ones are not shown";
    }
    put(buffer, (x + GAP, place.y), &text, width.saturating_sub(x + GAP), QUIET);
}

fn draw_entry(model: &Model, entry: &Entry, now: Timestamp, buffer: &mut Buffer, y: u16) {
    let job = &entry.job;
    let width = buffer.area.width;
    let mut row = Row::new(buffer, y);
    let state_width = if width < MEDIUM { SHORT_STATE } else { STATE };
    match entry.section {
        Section::Attention => {
            row.left(&state(job), state_width, style_of(StatusStyle::of_job(job)));
            if let Some(finished) = job.state.finished().filter(|_| width >= MEDIUM) {
                row.right(&time_or_day(finished.ended_at, now), TIME, QUIET);
            }
        }
        Section::Running => draw_progress(model, job, now, &mut row),
        Section::Finished => {
            row.left(&state(job), state_width, style_of(StatusStyle::of_job(job)));
            if let Some(finished) = job.state.finished().filter(|_| width >= MEDIUM) {
                row.right(&time_or_day(finished.ended_at, now), TIME, QUIET);
                row.right(notified(job), NOTIFIED, style_of(StatusStyle::of_follow_up(job.follow_up.state)));
            }
            if width >= WIDE {
                row.right(&duration(job, now).map(format_duration).unwrap_or_default(), DURATION, PLAIN);
            }
        }
    }
    if width >= WIDE && model.session.is_none() {
        row.right(&short_session(&job.session), SESSION, QUIET);
    }
    row.rest(&title(job), PLAIN);
}

/// The columns of a running job: its age against its limit, and the age of its last output.
fn draw_progress(model: &Model, job: &Job, now: Timestamp, row: &mut Row<'_>) {
    let width = row.buffer.area.width;
    let age = duration(job, now);
    if width >= MEDIUM {
        let last = model.last_outputs.iter().find(|(id, _)| *id == job.id);
        let text = match last {
            _ if model.killing.contains(&job.id) => "killing".to_owned(),
            Some((_, at)) => format!("output {} ago", in_one_unit(now.saturating_since(*at))),
            None => "no output".to_owned(),
        };
        row.right(&text, LAST_OUTPUT, QUIET);
    }
    let mut text = age.map_or_else(|| "starting".to_owned(), format_duration);
    if let Some(limit) = job.limits.timeout.filter(|_| width >= WIDE) {
        text += &format!(" of {}", in_one_unit(limit));
    }
    row.right(&text, if width >= WIDE { AGE_AND_LIMIT } else { AGE }, PLAIN);
    if width >= NARROW {
        let bar_width = if width >= MEDIUM { BAR } else { SHORT_BAR };
        let (bar, style) = bar(age, job.limits.timeout, bar_width);
        row.right(&bar, bar_width, style);
    }
}

/// An age against a limit. Yellow near the limit.
fn bar(age: Option<Duration>, limit: Option<Duration>, width: u16) -> (String, Style) {
    let Some(limit) = limit else { return ("no limit".to_owned(), QUIET) };
    let width = u128::from(width);
    let (age, limit) = (age.unwrap_or_default().as_millis(), limit.as_millis().max(1));
    let filled = (age * width / limit).min(width);
    let is_near = age * 10 >= limit * 9;
    let style = style_of(if is_near { StatusStyle::Odd } else { StatusStyle::Active });
    let text = (0..width).map(|column| if column < filled { '█' } else { '░' }).collect();
    (text, style)
}

/// Why a job needs attention, and what helps. The action stays visible.
fn draw_reason(entry: &Entry, buffer: &mut Buffer, y: u16) {
    let Some(reason) = entry.reason() else { return };
    let width = buffer.area.width;
    let x = put(buffer, (MARGIN, y), "└ ", width, QUIET);
    let room = width.saturating_sub(x + GAP + columns(reason.action));
    let is_cut = columns(&reason.text) > room;
    let text = reason.text.strip_prefix(NOBODY).filter(|_| is_cut).unwrap_or(&reason.text);
    let x = put(buffer, (x, y), text, room, PLAIN) + GAP;
    put(buffer, (x, y), reason.action, width.saturating_sub(x), BOLD);
}

fn draw_filter(model: &Model, buffer: &mut Buffer) {
    let (width, y) = (buffer.area.width, buffer.area.height - 1);
    let x = put(buffer, (0, y), "filter: ", width, BOLD);
    let text = flatten(&model.filter);
    // The end of the text is where the user types.
    let room = usize::from(width.saturating_sub(x + 1));
    let skipped = text.chars().count().saturating_sub(room);
    let shown: String = text.chars().skip(skipped).collect();
    let x = put(buffer, (x, y), &shown, width, PLAIN);
    put(buffer, (x, y), "_", width.saturating_sub(x), BOLD);
}
