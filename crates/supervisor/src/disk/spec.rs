//! `spec.json`: the specification of a job, written once.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use homing_core::{FollowUpPolicy, JobCommand, JobId, JobKey, JobLimits, LeftoverPolicy, SessionId, Shell};
use serde::{Deserialize, Serialize};

use crate::disk::directory::Directory;
use crate::disk::error::DiskError;
use crate::disk::run_by::RunBy;
use crate::names::{SPEC, SPEC_NEW};
use crate::platform::{errors, file};

/// Maximum size of a spec, in bytes.
const MAX_SPEC_BYTES: u64 = 64 << 20;

/// The schema of a job on an executor. Programs that know no executors would conclude that such a job never started.
const EXECUTOR_SCHEMA: &str = "homing.spec/2";

/// The content of `spec.json`. New versions may add fields, with a default, but never remove or change them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecFile {
    /// `homing.spec/1`; of a job on an executor `homing.spec/2`.
    pub schema: String,
    /// The job.
    pub id: JobId,
    /// The session that launched it.
    pub session: SessionId,
    /// The key it was launched under. The id is a hash of session and key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<JobKey>,
    /// Its name, or the description that a caller gave it. Any text.
    pub name: Option<String>,
    /// The command.
    pub command: JobCommand,
    /// The shell that runs the command, if it is a script. Earlier versions did not write it: they used `bash`.
    #[serde(default, skip_serializing_if = "Shell::is_bash")]
    pub shell: Shell,
    /// The working directory.
    pub cwd: PathBuf,
    /// The names of the variables that the launch set. Their values are never written to disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_names: Vec<String>,
    /// When it was created: wall clock, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// The same time on the boot-time clock, which never jumps, in microseconds.
    pub created_uptime_us: u64,
    /// The boot that this clock belongs to.
    pub boot_id: String,
    /// The machine, boot, pid namespace and user of the launcher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_from: Option<RunBy>,
    /// Timeout in milliseconds; `null` for none.
    pub timeout_ms: Option<u64>,
    /// Time between SIGTERM and SIGKILL in milliseconds.
    pub grace_ms: u64,
    /// Bytes kept from the beginning of the output.
    pub head_bytes: u64,
    /// Bytes kept from the end of the output.
    pub tail_bytes: u64,
    /// What happens to processes that survive the main process.
    pub leftovers: LeftoverPolicy,
    /// When the session is notified of the end.
    pub follow_up: FollowUpPolicy,
    /// The agent harness it was launched from, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harness: Option<String>,
    /// The configured sink that its session is woken through, if the job names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// The configured executor that runs it, on another machine; `None` for this one. Then no supervisor of this machine has
    /// the job: its record is written from what the executor reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
}

impl SpecFile {
    /// The schema that this program writes and reads. Fault tests inject another one to simulate a newer program.
    pub fn schema() -> String {
        fail::fail_point!("spec_schema", Option::unwrap_or_default);
        "homing.spec/1".to_owned()
    }

    /// The schema of a job that this executor runs.
    pub fn schema_for(executor: Option<&str>) -> String {
        if executor.is_some() { EXECUTOR_SCHEMA.to_owned() } else { SpecFile::schema() }
    }

    /// Whether this program knows its schema.
    pub fn is_supported(&self) -> bool {
        self.schema == SpecFile::schema_for(self.executor.as_deref())
    }

    /// Returns its limits.
    pub fn limits(&self) -> JobLimits {
        JobLimits {
            timeout: self.timeout_ms.map(Duration::from_millis),
            grace: Duration::from_millis(self.grace_ms),
            head_bytes: self.head_bytes,
            tail_bytes: self.tail_bytes,
        }
    }

    /// Writes it atomically: readers see the whole file or none. It is durable once [`WrittenSpec::sync`] and the
    /// sync of the directory have returned.
    ///
    /// # Errors
    /// If the write fails; then there is no spec.
    pub fn write(&self, directory: &Directory) -> Result<WrittenSpec, DiskError> {
        let text = serde_json::to_vec(self).map_err(|e| directory.error("write", SPEC, e))?;
        let file = directory.create(SPEC_NEW)?;
        write_all(&file, &text).map_err(|e| directory.error("write", SPEC, e))?;
        let handle = directory.handle();
        handle.rename(SPEC_NEW, handle, SPEC).map_err(|e| directory.error("write", SPEC, e))?;
        Ok(WrittenSpec { file })
    }

    /// Reads it; `None` if it is missing, which means that the job does not exist.
    ///
    /// # Errors
    /// If it cannot be read or parsed.
    pub fn read(directory: &Directory) -> Result<Option<SpecFile>, DiskError> {
        let Some(text) = directory.read_bounded(SPEC, MAX_SPEC_BYTES)? else { return Ok(None) };
        let failed = |error: io::Error| directory.error("read", SPEC, error);
        match serde_json::from_slice::<SpecFile>(&text) {
            Ok(spec) if spec.is_supported() => Ok(Some(spec)),
            Ok(_) => Err(DiskError::unsupported(directory.path().join(SPEC))),
            Err(error) => Err(match serde_json::from_slice::<SchemaOnly>(&text) {
                Ok(SchemaOnly { schema: other })
                    if ![SpecFile::schema(), EXECUTOR_SCHEMA.to_owned()].contains(&other) =>
                {
                    DiskError::unsupported(directory.path().join(SPEC))
                }
                Ok(_) | Err(_) => failed(error.into()),
            }),
        }
    }
}

/// The only field that all versions of a spec have in common.
#[derive(Deserialize)]
struct SchemaOnly {
    schema: String,
}

/// A spec that is written but not yet durable.
#[derive(Debug)]
#[must_use = "the spec is durable only after sync()"]
pub struct WrittenSpec {
    file: File,
}

impl WrittenSpec {
    /// Opens the spec that was written by another process or through another handle, and may not be durable yet. Opens it
    /// for writing, because Windows syncs only such handles.
    ///
    /// # Errors
    /// If it is missing or cannot be opened.
    pub fn by_another(directory: &Directory) -> Result<WrittenSpec, DiskError> {
        let no_spec = || directory.error("open", SPEC, errors::not_found());
        Ok(WrittenSpec { file: directory.open_to_update(SPEC)?.ok_or_else(no_spec)? })
    }

    /// Makes its content durable (fsync(2)).
    ///
    /// # Errors
    /// If the sync fails.
    pub fn sync(&self) -> io::Result<()> {
        file::sync(&self.file)
    }
}

/// Writes all of `bytes` at the current position of the file.
///
/// # Errors
/// If a write fails; some bytes may have been written.
pub fn write_all(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}
