//! The supervisor: the parent process of a job. Also the on-disk format that it shares with its readers.
//!
//! | topic | file |
//! |---|---|
//! | life cycle of a supervisor | `supervise.rs`, `watch.rs` |
//! | start of a job | `start_job.rs`, `platform/linux/fork.rs` |
//! | end of a job | `end_job.rs`; after the death of its supervisor: `orphans.rs` |
//! | which processes belong to a job, and which are spared | `belongs.rs` |
//! | processes with an environment variable | `marked_processes.rs` |
//! | supervisors whose directory was removed | `unlinked.rs` |
//! | records of outcomes | `record.rs` |
//! | bounded output | `output/` |
//! | layout of a home | `layout.rs` |

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
