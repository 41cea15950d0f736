//! The table of follow-ups.

use homing::Job;

use super::format::{ago, ahead, now, one_line, state, title};
use super::style::StatusStyle;
use super::table::{Cell, Notes, print_table_with_notes};
use crate::exit::Failure;

/// Prints one follow-up per line, with the reason why the result is not delivered yet.
pub(crate) fn print_follow_up_table(jobs: &[Job]) -> Result<(), Failure> {
    let now = now();
    let rows: Vec<_> = jobs
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
                Cell::new(job.session.as_str()),
                Cell::styled(state(job), StatusStyle::of_job(job)),
                Cell::new(ended.unwrap_or_default()),
                Cell::new(title(job)),
            ]
        })
        .collect();
    let reason = |job: &Job| job.follow_up.last_error.as_deref().map(one_line).unwrap_or_default();
    let notes = Notes { name: "NOTE", notes: jobs.iter().map(reason).collect() };
    let header = ["ID", "FOLLOW-UP", "ATTEMPTS", "NEXT", "SESSION", "STATE", "ENDED", "COMMAND"];
    print_table_with_notes(header, &rows, Some(&notes))
}
