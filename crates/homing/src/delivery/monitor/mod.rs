//! The monitor: turns the ends of jobs into wakes. One is active per home. It waits for change notifications, never polls,
//! and decides through the transitions of the core.
//!
//! | to see how | read |
//! |---|---|
//! | the active monitor works, and what it waits for | `active.rs` |
//! | a host configures and stops it | `options.rs`, `handle.rs` |
//! | it decides what to deliver to a session | `decide.rs` |
//! | it hands wakes to sinks, many with one commit | `waking.rs` |
//! | it limits how many attempts run at once | `slots.rs` |
//! | a sink works in a thread, and its answer is recorded | `deliver.rs`, `messages.rs` |
//! | it receives changes of jobs, and brings the ledger up to date | `home_watcher.rs`, `ingest.rs` |
//! | it tries again to read a job that it could not read | `retry_unreadable.rs`, `unreadable_job.rs` |
//! | it enforces the timeout of a job whose supervisor is stopped | `limits.rs` |
//! | it applies retention | `retention.rs` |
//! | it ends | `ending.rs` |
//! | one is active per home, others stand by | `lock.rs`, `run.rs` |
//! | it is started when it is needed | `on_demand.rs` |

mod active;
mod alert;
mod alerts;
mod check;
mod decide;
mod deliver;
mod ending;
mod event_json;
mod events;
mod handle;
mod home_watcher;
mod ingest;
mod limits;
mod lock;
mod mailbox;
mod messages;
mod on_demand;
mod options;
mod retention;
mod retry_unreadable;
mod run;
mod settings;
mod slots;
mod timers;
mod unreadable_job;
mod waking;

pub(crate) use check::monitor_check;
pub(crate) use decide::WakeStyle;
pub use events::MonitorEvent;
pub use handle::{Monitor, MonitorHandle};
pub use options::{MonitorEnd, MonitorOptions, MonitorUntil};
