//! The attempts to deliver the result of a job.

use std::io::{self, Write};

use homing::core::{Timestamp, format_duration};
use homing::{AttemptRecord, WakeRecord, WakeState};

use super::format::{ago, ahead, one_line};
use super::style::{StatusStyle, TITLE};
use crate::local_time::date_and_time;

/// Maximum number of attempts to show per wake; the last ones are shown.
const MAX_ATTEMPTS: usize = 12;

/// Prints one wake per line, with its attempts below it. Prints nothing if there are no wakes.
pub(super) fn print_wakes(out: &mut impl Write, wakes: &[WakeRecord], now: Timestamp) -> io::Result<()> {
    if !wakes.is_empty() {
        writeln!(out, "\n{TITLE}Wakes{TITLE:#}")?;
    }
    for wake in wakes {
        let style = status_style(wake.state).style();
        let state = wake.state.as_str();
        write!(out, "  {}  {style}{state}{style:#}", wake.id)?;
        match (&wake.lease, &wake.sink) {
            (Some(lease), _) => {
                let (holder, end) = (one_line(&lease.holder), ahead(lease.expires_at, now));
                write!(out, "  leased by {holder}, expires {end}")?;
            }
            (None, Some(sink)) => write!(out, "  through {}", one_line(sink))?,
            // No route leads to a sink: it waits until a host, a hook or a listener claims it.
            (None, None) => write!(out, "  without a sink")?,
        }
        if wake.jobs.len() > 1 {
            write!(out, ", with {} jobs", wake.jobs.len())?;
        }
        if let Some(next) = wake.next_at.filter(|_| wake.state.is_open()) {
            write!(out, ", next {}", ahead(next, now))?;
        }
        writeln!(out)?;
        let omitted = wake.attempts.len().saturating_sub(MAX_ATTEMPTS);
        if omitted > 0 {
            writeln!(out, "    … {omitted} earlier attempts")?;
        }
        for attempt in &wake.attempts[omitted..] {
            writeln!(out, "    {}", attempt_line(attempt, now))?;
        }
    }
    Ok(())
}

/// `1  2026-11-22 12:00:00 +01:00 (3m ago)  failed after 12ms: exit status 3`
fn attempt_line(attempt: &AttemptRecord, now: Timestamp) -> String {
    let AttemptRecord { number, holder, started_at, ended_at, result, error, .. } = attempt;
    let mut line = format!("{number}  {} ({})  ", date_and_time(*started_at), ago(*started_at, now));
    line += result.as_deref().unwrap_or("running");
    if let Some(ended_at) = ended_at {
        line += &format!(" after {}", format_duration(ended_at.saturating_since(*started_at)));
    }
    if let Some(holder) = holder {
        line += &format!(" by {}", one_line(holder));
    }
    if let Some(error) = error {
        line += &format!(": {}", one_line(error));
    }
    line
}

fn status_style(state: WakeState) -> StatusStyle {
    match state {
        WakeState::Scheduled | WakeState::HandedOff => StatusStyle::Odd,
        WakeState::InFlight => StatusStyle::Active,
        WakeState::Delivered => StatusStyle::Good,
        WakeState::Dead => StatusStyle::Bad,
        WakeState::Superseded => StatusStyle::Quiet,
    }
}
