//! Prints events: as a table that grows, or as JSON, one document per line.

use std::io::{self, IsTerminal, Write};

use homing::core::text::flatten;
use homing::{Actor, ActorKind, Event, EventCursor, EventKind, FollowUpState, Outcome, SessionId, WakeState};
use serde::Serialize;

use super::format::{one_line, short_session};
use super::json::print_json;
use super::style::StatusStyle;
use super::table::{Cell, Column, Table, shows_colors, terminal_width};
use crate::exit::Failure;
use crate::local_time::{now, short_time};

const COLUMNS: [Column; 5] = [
    Column { name: "TIME", rank: 0 },
    Column { name: "JOB", rank: 1 },
    Column { name: "SESSION", rank: 2 },
    Column { name: "ACTOR", rank: 3 },
    Column { name: "EVENT", rank: 0 },
];

/// The widths that columns have at least in a table that grows, so that they stay in place.
const STEADY_WIDTHS: [usize; 4] = [8, 12, 12, 14];

/// Prints events as they come.
#[derive(Debug)]
pub(crate) struct EventPrinter {
    as_json: bool,
    /// Whether the table grows.
    is_steady: bool,
    has_printed: bool,
}

/// Says that events are missing before the next one.
#[derive(Serialize)]
struct TruncatedDocument {
    schema: &'static str,
    since: EventCursor,
}

impl EventPrinter {
    /// JSON, or a table. `follows` says whether events are printed one after another.
    pub(crate) fn new(as_json: bool, follows: bool) -> EventPrinter {
        EventPrinter { as_json, is_steady: follows, has_printed: false }
    }

    /// Whether it prints JSON.
    pub(crate) fn prints_json(&self) -> bool {
        self.as_json
    }

    /// Whether it has printed an event.
    pub(crate) fn has_printed(&self) -> bool {
        self.has_printed
    }

    /// Prints events, below those that it has printed before.
    pub(crate) fn print(&mut self, events: &[Event]) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        let is_first = !std::mem::replace(&mut self.has_printed, true);
        if self.as_json {
            return events.iter().try_for_each(print_json);
        }
        let table = table(events, self.is_steady);
        let stdout = io::stdout();
        let text = match stdout.is_terminal() {
            true => table.for_terminal(terminal_width(), shows_colors()),
            false => table.for_programs(),
        };
        let text = if is_first { &*text } else { text.split_once('\n').map_or("", |(_, rows)| rows) };
        let mut stdout = stdout.lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Prints as JSON that the events after a cursor are missing.
    pub(crate) fn print_truncated(&self, since: EventCursor) -> Result<(), Failure> {
        print_json(&TruncatedDocument { schema: "homing.truncated/1", since })
    }
}

fn table(events: &[Event], is_steady: bool) -> Table<5> {
    let now = now();
    let rows = events
        .iter()
        .map(|event| {
            let session = event.session.as_ref();
            let cells = [
                (short_time(event.occurred_at, now), event.occurred_at.to_string()),
                jobs(event),
                (
                    session.map(short_session).unwrap_or_default(),
                    session.map(|session| flatten(session.as_str())).unwrap_or_default(),
                ),
                (actor(&event.actor, session), complete_actor(&event.actor)),
            ];
            let mut widths = STEADY_WIDTHS.into_iter();
            let [time, jobs, session, actor] = cells.map(|(text, complete)| {
                let width = widths.next().filter(|_| is_steady).unwrap_or(0);
                Cell::new(format!("{text:<width$}")).completely(complete)
            });
            let what = format!("{}{}", event.event.name(), detail(&event.event));
            [time, jobs, session, actor, Cell::styled(what, style(&event.event))]
        })
        .collect();
    Table { columns: COLUMNS, rows, notes: None }
}

/// The name of the job, or its id; of a wake, its jobs. Programs get ids.
fn jobs(event: &Event) -> (String, String) {
    match (&event.job, &event.event) {
        (Some(job), _) => {
            let name = event.name.as_deref().map(one_line).filter(|name| !name.is_empty());
            (name.unwrap_or_else(|| job.to_string()), job.to_string())
        }
        (None, EventKind::Wake { jobs, .. }) => {
            let ids: Vec<&str> = jobs.iter().map(homing::JobId::as_str).collect();
            let shown = match ids[..] {
                [] => String::new(),
                [id] => id.to_owned(),
                _ => format!("{} jobs", ids.len()),
            };
            (shown, ids.join(","))
        }
        (None, _) => (String::new(), String::new()),
    }
}

/// Who caused an event, in few words. Names its session only if it is not that of the event.
fn actor(actor: &Actor, session: Option<&SessionId>) -> String {
    let program = || actor.program.as_deref().map_or_else(|| "process".to_owned(), flatten);
    let pid = actor.pid.map(|pid| format!(" {pid}")).unwrap_or_default();
    let who = match actor.kind {
        ActorKind::Process => format!("{}{pid}", program()),
        ActorKind::Token => format!("token {}", actor.token.as_deref().map(flatten).unwrap_or_default()),
        ActorKind::Monitor => format!("monitor{pid}"),
        ActorKind::Supervisor => "supervisor".to_owned(),
        ActorKind::Session => "session".to_owned(),
        ActorKind::Operator => "operator".to_owned(),
        ActorKind::Outside => "a signal".to_owned(),
        ActorKind::ServiceManager => "service manager".to_owned(),
        other => other.as_str().to_owned(),
    };
    match &actor.session {
        Some(other) if session != Some(other) => format!("{who} in {}", short_session(other)),
        Some(_) | None => who,
    }
}

/// All that is known of who caused an event, for programs.
fn complete_actor(actor: &Actor) -> String {
    let parts = [
        actor.program.as_deref().map(|program| format!("program {}", flatten(program))),
        actor.token.as_deref().map(|token| format!("token {}", flatten(token))),
        actor.session.as_ref().map(|session| format!("session {}", flatten(session.as_str()))),
        actor.uid.map(|uid| format!("uid {uid}")),
        actor.pid.map(|pid| format!("pid {pid}")),
    ];
    let known: Vec<String> =
        std::iter::once(actor.kind.as_str().to_owned()).chain(parts.into_iter().flatten()).collect();
    known.join(", ")
}

/// What the type does not say.
fn detail(kind: &EventKind) -> String {
    match kind {
        EventKind::JobFinished { outcome } | EventKind::JobCorrected { outcome: Some(outcome) } => {
            format!(": {}", one_line(&outcome.to_string()))
        }
        EventKind::JobCorrected { outcome: None } => ": it still runs".to_owned(),
        EventKind::FollowUp { from, .. } => format!(" (was {from})"),
        EventKind::Wake { sink, attempt, error, .. } => {
            let attempt = attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
            let error = error.as_deref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
            let sink = sink.as_deref().map_or_else(|| "no sink".to_owned(), flatten);
            format!(" ({sink}{attempt}){error}")
        }
        EventKind::MonitorEnded { clean: false } => ": it was killed".to_owned(),
        _ => String::new(),
    }
}

fn style(kind: &EventKind) -> StatusStyle {
    match kind {
        EventKind::JobStarted => StatusStyle::Active,
        EventKind::JobFinished { outcome: Outcome::Exited { exit_code: 0 } } => StatusStyle::Good,
        EventKind::JobFinished { .. } => StatusStyle::Bad,
        EventKind::JobCorrected { .. } | EventKind::MonitorEnded { clean: false } => StatusStyle::Odd,
        EventKind::FollowUp { to: FollowUpState::Dead, .. } => StatusStyle::Bad,
        EventKind::Wake { state: WakeState::Dead, .. } => StatusStyle::Bad,
        EventKind::Wake { state: WakeState::Delivered, .. } => StatusStyle::Good,
        _ => StatusStyle::Plain,
    }
}
