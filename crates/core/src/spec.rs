//! Limits and policies of a job, with their defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::grouped;

/// Timeout of a job that does not set one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Time between SIGTERM and SIGKILL.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Bytes kept from the beginning of the output.
pub const DEFAULT_HEAD_BYTES: u64 = 1 << 20;
/// Bytes kept from the end of the output.
pub const DEFAULT_TAIL_BYTES: u64 = 4 << 20;

/// The smallest [`JobLimits::tail_bytes`]: one page, because the supervisor moves the output in pages.
pub const MIN_TAIL_BYTES: u64 = 4 << 10;
/// The largest [`JobLimits::head_bytes`] and [`JobLimits::tail_bytes`]. The disk space for the tail is reserved when the
/// head is full.
pub const MAX_OUTPUT_BYTES: u64 = 64 << 30;

/// The limits of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobLimits {
    /// How long the job may run; `None` for no timeout.
    pub timeout: Option<Duration>,
    /// Time between SIGTERM and SIGKILL when the job is ended.
    pub grace: Duration,
    /// Bytes kept from the beginning of the output (`output.log`).
    pub head_bytes: u64,
    /// Bytes kept from the end of the output (`output.tail`), once `output.log` is full.
    pub tail_bytes: u64,
}

impl JobLimits {
    /// Checks how many bytes of the output are kept.
    ///
    /// # Errors
    /// A message that names the limit and its range, if one is out of range.
    pub fn check_output(&self) -> Result<(), String> {
        let limits = [
            ("output_head_bytes", self.head_bytes, 0),
            ("output_tail_bytes", self.tail_bytes, MIN_TAIL_BYTES),
        ];
        match limits.into_iter().find(|(_, bytes, min)| !(*min..=MAX_OUTPUT_BYTES).contains(bytes)) {
            None => Ok(()),
            Some((name, bytes, min)) => {
                let (bytes, min, max) = (grouped(bytes), grouped(min), grouped(MAX_OUTPUT_BYTES));
                Err(format!("{name} is {bytes}: use {min} to {max} bytes"))
            }
        }
    }
}

impl Default for JobLimits {
    fn default() -> JobLimits {
        JobLimits {
            timeout: Some(DEFAULT_TIMEOUT),
            grace: DEFAULT_GRACE,
            head_bytes: DEFAULT_HEAD_BYTES,
            tail_bytes: DEFAULT_TAIL_BYTES,
        }
    }
}

/// What happens to processes that are still running after the main process has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftoverPolicy {
    /// The supervisor ends them; the result names them.
    #[default]
    Kill,
    /// They keep running; the result names them.
    Keep,
}

/// When the session is notified of the end of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUpPolicy {
    /// Always.
    #[default]
    Always,
    /// Only if the job did not succeed.
    Failure,
    /// Never; the result can still be read.
    Never,
}
