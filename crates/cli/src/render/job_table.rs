//! The table of jobs.

use std::io::{self, Write};

use homing::Job;
use homing::core::{Timestamp, format_duration};

use super::format::{duration, in_one_unit, one_line, short_session, state, title};
use super::style::StatusStyle;
use super::table::{Cell, Column, Table, shows_colors, terminal_width};
use crate::exit::Failure;
use crate::local_time::now;

const COLUMNS: [Column; 7] = [
    Column { name: "ID", rank: 0 },
    Column { name: "STATE", rank: 1 },
    Column { name: "AGE", rank: 2 },
    Column { name: "DURATION", rank: 5 },
    Column { name: "FOLLOW-UP", rank: 3 },
    Column { name: "SESSION", rank: 4 },
    Column { name: "COMMAND", rank: 0 },
];

/// Prints one job per line.
pub(crate) fn print_job_table(jobs: &[Job]) -> Result<(), Failure> {
    table(jobs, now()).print()
}

/// Prints only the ids, one per line.
pub(crate) fn print_ids(jobs: &[Job]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    for job in jobs {
        writeln!(stdout, "{}", job.id)?;
    }
    Ok(stdout.flush()?)
}

/// The table at a time, for the terminal of standard output.
pub(crate) fn job_table_text(jobs: &[Job], at: Timestamp) -> String {
    table(jobs, at).for_terminal(terminal_width(), shows_colors())
}

/// The title of a job, on a terminal after the executor that runs it.
fn place_and_title(job: &Job) -> Cell {
    match &job.executor {
        Some(executor) => Cell::new(format!("{}: {}", one_line(executor), title(job))).completely(title(job)),
        None => Cell::new(title(job)),
    }
}

fn table(jobs: &[Job], now: Timestamp) -> Table<7> {
    let has_one_session = jobs.iter().all(|job| job.session == jobs[0].session);
    let rows = jobs
        .iter()
        .map(|job| {
            let follow_up = job.follow_up.state.as_str();
            // A terminal shows only follow-ups that are not settled.
            let is_shown = job.state.finished().is_some() && job.follow_up.state.is_open();
            let session = if has_one_session { String::new() } else { short_session(&job.session) };
            [
                Cell::new(job.id.as_str()),
                Cell::styled(state(job), StatusStyle::of_job(job)),
                Cell::new(in_one_unit(now.saturating_since(job.created_at))),
                Cell::new(duration(job, now).map(format_duration).unwrap_or_default()),
                Cell::styled(
                    if is_shown { follow_up } else { "" },
                    StatusStyle::of_follow_up(job.follow_up.state),
                )
                .completely(follow_up),
                Cell::new(session).completely(job.session.as_str()),
                place_and_title(job),
            ]
        })
        .collect();
    Table { columns: COLUMNS, rows, notes: None }
}
