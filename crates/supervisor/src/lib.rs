//! The supervisor: the parent process of a job. Also the on-disk format that it shares with its readers.
//!
//! Each line uses only the lines above it.
//!
//! | module | contents |
//! |---|---|
//! | `names` | file names, arguments and environment variables that several processes share |
//! | `platform` | the only part that depends on the operating system |
//! | `failpoints` | named points at which fault tests end the process |
//! | `disk` | the files of a job: layout, spec, record, lock, output |
//! | `belongs` | evidence that a process belongs to a job, and which processes are spared |
//! | `usage` | what the processes of a running job use |
//! | `recover` | ends the processes of a dead supervisor, or that have an environment variable; finds supervisors whose directory was removed |
//! | `supervise` | the life of a supervisor: starts, supervises and ends a job, and records its outcome |

mod belongs;
mod disk;
mod failpoints;
mod names;
pub mod platform;
mod recover;
mod supervise;
mod usage;

pub use disk::documents::{EndedRecord, FinishedRecord, StartedRecord};
pub use disk::error::DiskError;
pub use disk::job_lock::JobLock;
pub use disk::record::{Record, RecordContent};
pub use disk::run_by::{Relation, RunBy};
pub use disk::slots::{RECORD_BYTES, Slot};
pub use disk::spec::{SpecFile, WrittenSpec, write_all};
pub use disk::{layout, output};
pub use failpoints::{arm_crash_points, crash_point, injected_millis};
pub use names::{
    ATTACHED_ARGUMENT, DETACHED_ARGUMENT, EXECUTOR_ARGUMENT, JOB_VARIABLE, LATE_ARGUMENT, MIRROR_ARGUMENT,
    MONITOR_ARGUMENT, SPLIT_ARGUMENT, SUPERVISE_ARGUMENT,
};
pub use recover::marked_processes::{end_marked_processes, marked_processes};
pub use recover::orphans::end_orphans;
pub use recover::unlinked::{UnlinkedSupervisor, find_unlinked_supervisors};
pub use supervise::attached::{OutputStream, Segment, Streams, report_progress};
pub use supervise::life::{ANSWER, START_TIMEOUT, Start, daemonize, supervise};
pub use supervise::prefork::{PROCESS_NAME, Preforked, SuperviseRequest, prefork};
pub use usage::{TreeUsage, usage_below};
