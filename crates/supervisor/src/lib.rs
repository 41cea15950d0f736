//! The process that is a job's parent, and the disk contract it shares with its readers.
//!
//! | to see how | read |
//! |---|---|
//! | a supervisor lives | `supervise.rs`, `watch.rs` |
//! | a job is started | `start_job.rs`, `platform/linux/fork.rs` |
//! | a job is ended | `end_job.rs`; when its supervisor is gone: `orphans.rs` |
//! | a process is told to be a job's, and who is spared | `belongs.rs` |
//! | what a woken agent left is found | `carriers.rs` |
//! | a supervisor without a directory is found | `unlinked.rs` |
//! | an outcome is recorded | `record.rs` |
//! | output is bounded | `output/` |
//! | a home is laid out | `layout.rs` |

mod belongs;
mod end_job;
mod error;
mod failpoints;
mod job_lock;
pub mod layout;
mod marked_processes;
mod orphans;
pub mod output;
pub mod platform;
mod record;
mod spec_file;
mod start_job;
mod supervise;
mod supervision;
mod unlinked;
mod watch;

pub use belongs::{DETACHED_ARGUMENT, JOB_VARIABLE, LATE_ARGUMENT, MONITOR_ARGUMENT, SUPERVISE_ARGUMENT};
pub use error::DiskError;
pub use failpoints::{arm_crash_points, crash_point, injected_millis};
pub use job_lock::JobLock;
pub use marked_processes::{end_marked_processes, processes_carrying};
pub use orphans::end_orphans;
pub use record::{EndedRecord, FinishedRecord, RECORD_BYTES, Record, RecordContent, Slot, StartedRecord};
pub use spec_file::{SpecFile, WrittenSpec, write_all};
pub use supervise::{ANSWER, START_TIMEOUT, Start, daemonize, supervise};
pub use unlinked::{UnlinkedSupervisor, find_unlinked_supervisors};
