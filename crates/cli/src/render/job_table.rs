//! The table of jobs.

use homing::Job;
use homing::core::format_duration;

use super::format::{ago, duration, now, state, title};
use super::style::StatusStyle;
use super::table::{Cell, print_table};
use crate::exit::Failure;

/// Prints one job per line.
pub(crate) fn print_job_table(jobs: &[Job]) -> Result<(), Failure> {
    let now = now();
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| {
            [
                Cell::new(job.id.as_str()),
                Cell::styled(state(job), StatusStyle::of_job(job)),
                Cell::new(ago(job.created_at, now)),
                Cell::new(duration(job, now).map(format_duration).unwrap_or_default()),
                Cell::styled(job.follow_up.state.as_str(), StatusStyle::of_follow_up(job.follow_up.state)),
                Cell::new(job.session.as_str()),
                Cell::new(title(job)),
            ]
        })
        .collect();
    print_table(["ID", "STATE", "LAUNCHED", "DURATION", "FOLLOW-UP", "SESSION", "COMMAND"], &rows)
}
