//! What a caller can do about an error. Front ends word it for their callers; `Display` words it for the command line.

use std::fmt;
use std::path::PathBuf;

use homing_core::JobId;

/// What a caller can do about an error. Its `Display` names commands of the homing program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// List the jobs.
    ListJobs,
    /// List the wakes of a job. Old wakes are deleted with their jobs.
    ListWakes,
    /// Do not deliver the wake: another attempt delivers it, under the same id.
    DiscardWake,
    /// Name the session that the job belongs to, or the job by its id.
    NameSession,
    /// Kill this job first.
    KillFirst(JobId),
    /// Read or acknowledge the result of this job first.
    AcknowledgeFirst(JobId),
    /// Give a name by which the job can be found.
    UseName,
    /// Give a longer prefix of the id.
    UseLongerPrefix,
    /// Give a job id or a prefix of one.
    UseJobId,
    /// Give a script that is not empty.
    GiveScript,
    /// Give an existing working directory.
    GiveExistingDirectory,
    /// Configure a sink: there are none.
    ConfigureSink,
    /// Use one of these configured sinks.
    UseSink(Vec<String>),
    /// Configure an executor: there are none.
    ConfigureExecutor,
    /// Use one of these configured executors.
    UseExecutor(Vec<String>),
    /// Use another key: this job has it.
    UseOtherKey(JobId),
    /// Set these variables of the repeated job again.
    SetVariables(JobId, Vec<String>),
    /// Open the home again.
    ReopenHome,
    /// Name a home.
    SetHome,
    /// Name a home that can be written to.
    UseWritableHome,
    /// Update this program.
    Update,
    /// Update this program, or use another home.
    UpdateOrUseOtherHome,
    /// Free disk space, for example by pruning.
    FreeDiskSpace,
    /// Install the homing program.
    InstallProgram,
    /// Find the process that holds the lock of this file.
    FindLockHolder(PathBuf),
    /// Check every job.
    CheckJobs,
    /// This text, which depends on what was found.
    Text(String),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hint::ListJobs => {
                "run `homing list --all-sessions` to see all jobs; old jobs are deleted (retention.finished)"
            }
            Hint::ListWakes => "run `homing show JOB` to see the wakes of a job; old wakes are deleted with their jobs",
            Hint::DiscardWake => {
                "do not deliver the wake: another attempt delivers it under the same id; ask for a longer lease next time"
            }
            Hint::NameSession => {
                "add --session SESSION, or use the id; run `homing list --all-sessions` to see the jobs of every session"
            }
            Hint::KillFirst(job) => return write!(f, "run `homing kill {job}` first"),
            Hint::AcknowledgeFirst(job) => {
                return write!(f, "run `homing result {job}` to read it, or `homing ack {job}`, then try again");
            }
            Hint::UseName => "use a name such as nightly, build-2 or deploy.prod",
            Hint::UseLongerPrefix => "use a longer prefix of the id",
            Hint::UseJobId => {
                "use a job id, a prefix of at least 4 characters, a name, or last; run `homing list` to see the jobs"
            }
            Hint::GiveScript => "pass a script, for example: homing run 'sleep 5; echo done'",
            Hint::GiveExistingDirectory => "pass an existing directory with --cwd",
            Hint::ConfigureSink => "add a table [sinks.NAME] to config.toml",
            Hint::UseSink(known) => return write!(f, "configured sinks: {}", known.join(", ")),
            Hint::ConfigureExecutor => "add a table [executors.NAME] with ssh = \"me@box\" to config.toml",
            Hint::UseExecutor(known) => return write!(f, "configured executors: {}", known.join(", ")),
            Hint::UseOtherKey(job) => {
                return write!(
                    f,
                    "choose a different key, or run `homing show {job}` to see the job that uses this key"
                );
            }
            Hint::SetVariables(job, names) => {
                let options: Vec<String> = names.iter().map(|name| format!("--env {name}=VALUE")).collect();
                return write!(f, "pass them again: homing rerun {job} {}", options.join(" "));
            }
            Hint::ReopenHome => {
                "restart this command or process; earlier jobs are in the directory that was moved away"
            }
            Hint::SetHome => "set HOMING_HOME to a directory that you own",
            Hint::UseWritableHome => "set HOMING_HOME to a directory that you can write to",
            Hint::Update => "update this program",
            Hint::UpdateOrUseOtherHome => "update this program, or set HOMING_HOME to another directory",
            Hint::FreeDiskSpace => "the disk is full; run `homing prune` to delete old jobs",
            Hint::InstallProgram => "install the homing program, or set HOMING_SUPERVISOR to its path",
            Hint::FindLockHolder(path) => {
                return write!(
                    f,
                    "running jobs are not affected; run `fuser -v {}` to see which process holds the lock",
                    path.display()
                );
            }
            Hint::CheckJobs => "run `homing doctor` to check every job",
            Hint::Text(text) => text,
        })
    }
}
