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
mod disk;
mod failpoints;
mod names;
pub mod platform;
mod recover;
mod supervise;

pub use disk::documents::{EndedRecord, FinishedRecord, StartedRecord};
pub use disk::error::DiskError;
pub use disk::job_lock::JobLock;
pub use disk::record::{Record, RecordContent};
pub use disk::run_by::{Relation, RunBy};
pub use disk::slots::{RECORD_BYTES, Slot};
pub use disk::spec::{SpecFile, WrittenSpec, write_all};
pub use disk::{layout, output};
pub use failpoints::{arm_crash_points, crash_point, injected_millis};
pub use names::{DETACHED_ARGUMENT, JOB_VARIABLE, LATE_ARGUMENT, MONITOR_ARGUMENT, SUPERVISE_ARGUMENT};
pub use recover::marked_processes::{end_marked_processes, processes_carrying};
pub use recover::orphans::end_orphans;
pub use recover::unlinked::{UnlinkedSupervisor, find_unlinked_supervisors};
pub use supervise::life::{ANSWER, START_TIMEOUT, Start, daemonize, supervise};
