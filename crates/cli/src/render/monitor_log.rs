//! What a monitor does, as a log for people or as documents for programs.

use std::io::{self, IsTerminal, Write};

use homing::core::Timestamp;
use homing::{Delivery, MonitorEvent};
use serde::Serialize;

use super::format::now;
use super::print_json;
use super::style::StatusStyle;
use crate::exit::Failure;

/// Where events go.
#[derive(Debug)]
pub(crate) struct MonitorLog {
    as_json: bool,
    short_times: bool,
}

/// One event for programs.
#[derive(Serialize)]
struct EventDocument<'a> {
    at: Timestamp,
    #[serde(flatten)]
    event: &'a MonitorEvent,
}

impl MonitorLog {
    /// Documents on standard output, or lines on standard error.
    pub(crate) fn new(as_json: bool) -> MonitorLog {
        MonitorLog { as_json, short_times: io::stderr().is_terminal() }
    }

    /// Prints one event. That the monitor is alive is news for service managers only.
    ///
    /// # Errors
    /// Where nobody reads the documents. A log that cannot be written is no reason to stop.
    pub(crate) fn print(&self, event: &MonitorEvent) -> Result<(), Failure> {
        if matches!(event, MonitorEvent::Alive) {
            return Ok(());
        }
        let at = now();
        if self.as_json {
            return print_json(&EventDocument { at, event });
        }
        let at = at.to_string();
        let at = if self.short_times { time_of_day(&at) } else { at };
        let style = status_style(event).style();
        let _ = writeln!(anstream::stderr().lock(), "{at} {style}{event}{style:#}");
        Ok(())
    }
}

/// `11:00:00Z` of `2026-11-22T11:00:00.123Z`: on a terminal, lines are short.
fn time_of_day(at: &str) -> String {
    let time = at.split_once('T').map_or(at, |(_, time)| time);
    format!("{}Z", time.split_once('.').map_or(time, |(seconds, _)| seconds))
}

fn status_style(event: &MonitorEvent) -> StatusStyle {
    match event {
        MonitorEvent::Sending { .. } => StatusStyle::Active,
        MonitorEvent::Answered { delivery, .. } => match delivery {
            Delivery::Delivered | Delivery::HandedOff => StatusStyle::Good,
            Delivery::Busy { .. } => StatusStyle::Odd,
            Delivery::Gone { .. } | Delivery::Failed { .. } => StatusStyle::Bad,
        },
        MonitorEvent::Held { .. } => StatusStyle::Odd,
        MonitorEvent::Warning { .. } => StatusStyle::Bad,
        _ => StatusStyle::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_the_time_of_day_alone() {
        assert_eq!(time_of_day("2026-11-22T11:00:07.123Z"), "11:00:07Z");
    }
}
