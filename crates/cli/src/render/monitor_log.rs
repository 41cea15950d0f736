//! The events of a monitor, as a log for people or as JSON for programs.

use std::io::{self, IsTerminal, Write};

use homing::core::Timestamp;
use homing::{Delivery, MonitorEvent};
use serde::Serialize;

use super::print_json;
use super::style::StatusStyle;
use crate::exit::Failure;
use crate::local_time::{now, time_of_day};

/// Prints events.
#[derive(Debug)]
pub(crate) struct MonitorLog {
    as_json: bool,
    short_times: bool,
}

/// One event as JSON.
#[derive(Serialize)]
struct EventDocument<'a> {
    at: Timestamp,
    #[serde(flatten)]
    event: &'a MonitorEvent,
}

impl MonitorLog {
    /// JSON on standard output, or lines on standard error.
    pub(crate) fn new(as_json: bool) -> MonitorLog {
        MonitorLog { as_json, short_times: io::stderr().is_terminal() }
    }

    /// Prints one event. Ignores heartbeats, which are for service managers.
    ///
    /// # Errors
    /// When the JSON cannot be written. Errors of the log are ignored.
    pub(crate) fn print(&self, event: &MonitorEvent) -> Result<(), Failure> {
        if matches!(event, MonitorEvent::Alive) {
            return Ok(());
        }
        let at = now();
        if self.as_json {
            return print_json(&EventDocument { at, event });
        }
        // A log file keeps complete times in UTC.
        let at = if self.short_times { time_of_day(at) } else { at.to_string() };
        let style = status_style(event).style();
        let _ = writeln!(anstream::stderr().lock(), "{at} {style}{event}{style:#}");
        Ok(())
    }
}

fn status_style(event: &MonitorEvent) -> StatusStyle {
    match event {
        MonitorEvent::Sending { .. } => StatusStyle::Active,
        MonitorEvent::Answered { delivery, .. } | MonitorEvent::Alerted { delivery, .. } => match delivery {
            Delivery::Delivered | Delivery::HandedOff => StatusStyle::Good,
            Delivery::Busy { .. } => StatusStyle::Odd,
            Delivery::Gone { .. } | Delivery::Failed { .. } => StatusStyle::Bad,
        },
        MonitorEvent::Held { .. } => StatusStyle::Odd,
        MonitorEvent::Warning { .. } => StatusStyle::Bad,
        _ => StatusStyle::Plain,
    }
}
