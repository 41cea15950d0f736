//! The table of executors.

use homing::ExecutorStatus;

use super::format::{ago, one_line};
use super::style::StatusStyle;
use super::table::{Cell, Column, Notes, Table};
use crate::exit::Failure;
use crate::local_time::now;

const COLUMNS: [Column; 5] = [
    Column { name: "NAME", rank: 0 },
    Column { name: "CONNECTION", rank: 0 },
    Column { name: "HEARD", rank: 1 },
    Column { name: "UNFINISHED", rank: 2 },
    Column { name: "SSH", rank: 0 },
];

/// Prints one executor per line, with the reason why it is not reached.
pub(crate) fn print_executor_table(executors: &[ExecutorStatus]) -> Result<(), Failure> {
    let now = now();
    let rows = executors
        .iter()
        .map(|executor| {
            let health = executor.health.as_ref();
            let (connection, style) = match health {
                Some(health) if health.connected => ("connected", StatusStyle::Good),
                Some(health) if health.problem.is_some() => ("unreachable", StatusStyle::Odd),
                // Without an unfinished job there is no connection.
                Some(_) | None => ("idle", StatusStyle::Plain),
            };
            let heard = health.and_then(|health| health.heard_at.filter(|_| !health.connected));
            [
                Cell::new(executor.name.as_str()),
                Cell::styled(connection, style),
                Cell::new(heard.map(|heard| ago(heard, now)).unwrap_or_default()),
                Cell::new(executor.unfinished.to_string()),
                Cell::new(one_line(&executor.ssh)),
            ]
        })
        .collect();
    let problem = |executor: &ExecutorStatus| {
        let problem = executor.health.as_ref().and_then(|health| health.problem.as_deref());
        problem.map(one_line).unwrap_or_default()
    };
    let notes = Notes { name: "NOTE", notes: executors.iter().map(problem).collect() };
    Table { columns: COLUMNS, rows, notes: Some(notes) }.print()
}
