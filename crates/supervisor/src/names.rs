//! Names that several processes share: files in a home, arguments of started processes, environment variables.

/// Directory of all jobs, relative to the home.
pub const JOBS: &str = "jobs";
/// The inbox, relative to the home: one empty file for each job that changed.
pub const INBOX: &str = "inbox";
/// Staging directory for jobs with a key, relative to the home.
pub const STAGE: &str = "launching";
/// Lock file of the active monitor, relative to the home. Contains the process id of that monitor, for people.
pub const MONITOR_LOCK: &str = "monitor.lock";
/// The ledger, relative to the home.
pub const LEDGER: &str = "ledger.db";

/// The spec of a job. The job exists if and only if this file exists.
pub const SPEC: &str = "spec.json";
/// Temporary name of the spec while it is written.
pub const SPEC_NEW: &str = "spec.json.new";
/// Lock file of a job, locked by its supervisor until it exits.
pub const LOCK: &str = "lock";
/// The state of the job: two slots with checksums.
pub const RECORD: &str = "record";
/// The first bytes of the output.
pub const OUTPUT_HEAD: &str = "output.log";
/// A ring buffer with the last bytes of the output.
pub const OUTPUT_TAIL: &str = "output.tail";

/// First argument of a supervisor.
pub const SUPERVISE_ARGUMENT: &str = "__supervise";
/// First argument of a monitor that is started on demand.
pub const MONITOR_ARGUMENT: &str = "__monitor";
/// First argument of the process that mirrors the jobs of an executor.
pub const MIRROR_ARGUMENT: &str = "__mirror";
/// First argument of the program on the machine of an executor.
pub const EXECUTOR_ARGUMENT: &str = "__executor";
/// Argument of a supervisor whose job may start late ([`Start::Late`](crate::Start::Late)).
pub const LATE_ARGUMENT: &str = "late";
/// Argument of a supervisor whose launcher reads the output while the job runs ([`Streams::Merged`](crate::Streams)).
pub const ATTACHED_ARGUMENT: &str = "attached";
/// As [`ATTACHED_ARGUMENT`], with the two streams kept apart ([`Streams::Split`](crate::Streams)).
pub const SPLIT_ARGUMENT: &str = "split";
/// Last argument of a supervisor or monitor that must detach from the process that starts it.
pub const DETACHED_ARGUMENT: &str = "detached";

/// The environment variable that every process of a job inherits, unless it was removed.
pub const JOB_VARIABLE: &str = "HOMING_JOB";
/// The environment variable with the path of the home, set for everything that homing starts.
pub(crate) const HOME_VARIABLE: &str = "HOMING_HOME";
