//! `homing events`: what happened to jobs, results and monitors, in the order in which the ledger recorded it.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use homing::{Error, EventCursor, EventOptions, EventPage, Homing};
use homing_supervisor::platform::wait::{AsWaitSource, is_ready_within, wait};

use crate::exit::Failure;
use crate::open::{open, open_existing};
use crate::render::{EventPrinter, note, note_with_hint, say};
use crate::values::{Limit, ListedSessions, limit};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing events
  homing events --follow
  homing events --since oldest --json
  homing events --follow --json --since 7f3a9c01.42

Inside an agent, prints the events of its session; elsewhere, those of all sessions. Those of monitors belong to no \
session. The start and the end of a job are recorded when a monitor or another command sees them: TIME is when they \
happened. With --json, prints the document homing.event/1, one per line. Each has a cursor: --since CURSOR prints the \
events after it. If the cursor is unknown or too old, prints all events that are kept, after a note, or with --json \
after the document homing.truncated/1. The ledger keeps 100,000 events (retention.events).";

/// How many events are printed if the user does not say.
const DEFAULT_LIMIT: u32 = 20;

/// Which events to print.
#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    sessions: ListedSessions,
    /// Print only events after this cursor, which an event of --json has; "oldest" for all that are kept
    #[arg(long, value_name = "CURSOR")]
    since: Option<EventCursor>,
    /// Wait for further events, and print them until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Maximum number of events, 0 for all: with --since the oldest, else the newest, and before those of --follow
    /// [default: 20; all with --since, none before those of --follow]
    #[arg(short = 'n', long, value_name = "N", value_parser = limit)]
    limit: Option<Limit>,
    /// Print each event as a JSON document, one per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints events.
pub(crate) fn events(args: &EventsArgs) -> Result<ExitCode, Failure> {
    let session = args.sessions.session()?;
    let options = EventOptions { since: args.since, session, limit: None };
    let mut printer = EventPrinter::new(args.json, args.follow);
    if args.follow {
        let homing = open()?;
        let since = match (args.since, args.limit) {
            (None, Some(limit)) => Some(print_newest(&homing, &options, limit, &mut printer)?.next),
            (since, _) => since,
        };
        return follow(&homing, EventOptions { since, ..options }, &mut printer);
    }
    let Some(homing) = open_existing()? else {
        nothing_to_show(args.json);
        return Ok(ExitCode::SUCCESS);
    };
    match args.since {
        Some(since) => print_since(&homing, since, &options, args.limit, &mut printer)?,
        None => {
            let limit = args.limit.unwrap_or(Limit(Some(DEFAULT_LIMIT)));
            let page = print_newest(&homing, &options, limit, &mut printer)?;
            if page.has_more {
                note(&format!("showing the newest {}; use -n 0 to show all", page.events.len()));
            }
        }
    }
    if !printer.has_printed() {
        nothing_to_show(args.json);
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing_to_show(as_json: bool) {
    if !as_json {
        say("no events to show");
    }
}

/// Prints the newest events. Returns a page that says where to continue.
fn print_newest(
    homing: &Homing,
    options: &EventOptions,
    limit: Limit,
    printer: &mut EventPrinter,
) -> Result<EventPage, Failure> {
    if let Some(limit) = limit.0 {
        let page = homing.newest_events(&EventOptions { limit: Some(limit), ..options.clone() })?;
        printer.print(&page.events)?;
        return Ok(page);
    }
    let mut since = EventCursor::oldest();
    loop {
        let page = homing.events_since(&EventOptions { since: Some(since), ..options.clone() })?;
        printer.print(&page.events)?;
        if !page.has_more {
            return Ok(page);
        }
        since = page.next;
    }
}

/// Prints the events after a cursor.
fn print_since(
    homing: &Homing,
    mut since: EventCursor,
    options: &EventOptions,
    limit: Option<Limit>,
    printer: &mut EventPrinter,
) -> Result<(), Failure> {
    let mut left = limit.and_then(|limit| limit.0);
    loop {
        let page =
            homing.events_since(&EventOptions { since: Some(since), limit: left, ..options.clone() })?;
        announce_truncated(&page, since, printer)?;
        printer.print(&page.events)?;
        since = page.next;
        let count = u32::try_from(page.events.len()).unwrap_or(u32::MAX);
        left = left.map(|left| left.saturating_sub(count));
        if !page.has_more {
            return Ok(());
        }
        if left == Some(0) {
            note(&format!("more events follow; continue with --since {since}"));
            return Ok(());
        }
    }
}

/// Prints events as they are recorded, until a signal ends this process or nobody reads its output any more.
fn follow(homing: &Homing, options: EventOptions, printer: &mut EventPrinter) -> Result<ExitCode, Failure> {
    let stdout = io::stdout();
    let mut since = options.since;
    let mut watch = homing.watch_events(options).map_err(cannot_watch)?;
    loop {
        let page = watch.next_page()?;
        if let Some(since) = since {
            announce_truncated(&page, since, printer)?;
        }
        printer.print(&page.events)?;
        since = Some(page.next);
        if page.has_more {
            continue;
        }
        let reader_gone = stdout.as_wait_source().disconnected();
        wait(&[watch.readable(), reader_gone], None).map_err(cannot_wait)?;
        if is_ready_within(reader_gone, Duration::ZERO).map_err(cannot_wait)? {
            return Err(Failure::ReaderGone);
        }
    }
}

fn announce_truncated(
    page: &EventPage,
    since: EventCursor,
    printer: &mut EventPrinter,
) -> Result<(), Failure> {
    if !page.truncated {
        return Ok(());
    }
    if printer.prints_json() {
        return printer.print_truncated(since);
    }
    note_with_hint(
        &format!(
            "events after {since} are missing: they were deleted, or the ledger was rebuilt; all kept events follow"
        ),
        "run homing list and homing follow-ups to see the current state",
    );
    Ok(())
}

/// Says what to use instead if a limit of the system is reached.
fn cannot_watch(error: Error) -> Failure {
    match error {
        Error::Disk(error) if error.action == "watch" => cannot_wait(error.source),
        error => error.into(),
    }
}

fn cannot_wait(error: io::Error) -> Failure {
    Failure::Refused {
        code: "cannot_watch",
        message: format!("cannot watch for changes: {error}"),
        hint: Some("use homing events without --follow".to_owned()),
    }
}
