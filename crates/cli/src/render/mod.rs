//! Renders jobs for people and programs. Removes control characters from everything that comes from a job.

mod checks;
mod detail;
mod event_table;
mod executor_table;
mod follow_up_table;
pub(crate) mod foreground;
mod format;
mod job_table;
mod json;
pub(crate) mod matching_lines;
mod messages;
mod monitor_log;
pub(crate) mod notification;
pub(crate) mod output;
pub(crate) mod output_json;
mod style;
mod table;
pub(crate) mod terminal;
mod wakes;

pub(crate) use checks::print_checks;
pub(crate) use detail::{Detail, print_detail};
pub(crate) use event_table::EventPrinter;
pub(crate) use executor_table::print_executor_table;
pub(crate) use follow_up_table::print_follow_up_table;
pub(crate) use format::{already_finished, follow_up_summary, leftover_text, summary};
#[cfg(feature = "top")]
pub(crate) use format::{bytes, duration, in_one_unit, one_line, short_session, state, title};
pub(crate) use job_table::{job_table_text, print_ids, print_job_table};
pub(crate) use json::{print_json, print_one_or_all};
pub(crate) use messages::{note, note_with_hint, print_error, report, say};
pub(crate) use monitor_log::MonitorLog;
#[cfg(feature = "top")]
pub(crate) use style::StatusStyle;
#[cfg(feature = "top")]
pub(crate) use table::{cut, shows_colors};
