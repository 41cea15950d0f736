//! The table of follow-ups.

use homing::Job;

use super::format::{ago, ahead, one_line, short_session, state, title};
use super::style::StatusStyle;
use super::table::{Cell, Column, Notes, Table};
use crate::exit::Failure;
use crate::local_time::now;

const COLUMNS: [Column; 8] = [
    Column { name: "ID", rank: 0 },
    Column { name: "FOLLOW-UP", rank: 1 },
    Column { name: "ATTEMPTS", rank: 5 },
    Column { name: "NEXT", rank: 3 },
    Column { name: "SESSION", rank: 6 },
    Column { name: "STATE", rank: 2 },
    Column { name: "ENDED", rank: 4 },
    Column { name: "COMMAND", rank: 0 },
];

/// Prints one follow-up per line, with the reason why the result is not delivered yet.
pub(crate) fn print_follow_up_table(jobs: &[Job]) -> Result<(), Failure> {
    let now = now();
    let rows = jobs
        .iter()
        .map(|job| {
            let follow_up = &job.follow_up;
            let ended = job.state.finished().map(|finished| ago(finished.ended_at, now));
            let next = follow_up.next_attempt_at.map(|next| ahead(next, now));
            [
                Cell::new(job.id.as_str()),
                Cell::styled(follow_up.state.as_str(), StatusStyle::of_follow_up(follow_up.state)),
                Cell::new(follow_up.attempts.to_string()),
                Cell::new(next.unwrap_or_default()),
                Cell::new(short_session(&job.session)).completely(job.session.as_str()),
                Cell::styled(state(job), StatusStyle::of_job(job)),
                Cell::new(ended.unwrap_or_default()),
                Cell::new(title(job)),
            ]
        })
        .collect();
    let reason = |job: &Job| job.follow_up.last_error.as_deref().map(one_line).unwrap_or_default();
    let notes = Notes { name: "NOTE", notes: jobs.iter().map(reason).collect() };
    Table { columns: COLUMNS, rows, notes: Some(notes) }.print()
}
