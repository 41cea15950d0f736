//! What may be asked of a job besides its command: limits and policies, with their defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time limit of a job that sets none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Time between SIGTERM and SIGKILL.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Bytes of output kept from its beginning.
pub const DEFAULT_HEAD_BYTES: u64 = 1 << 20;
/// Bytes of output kept from its end.
pub const DEFAULT_TAIL_BYTES: u64 = 4 << 20;

/// The bounds of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobLimits {
    /// How long it may run; `None` for as long as it likes.
    pub timeout: Option<Duration>,
    /// How long it has between SIGTERM and SIGKILL when it is ended.
    pub grace: Duration,
    /// Bytes of output kept from the beginning (`output.log`).
    pub head_bytes: u64,
    /// Bytes of output kept from the end (`output.tail`), once the beginning is full.
    pub tail_bytes: u64,
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

/// What happens to processes that live on when the main process has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftoverPolicy {
    /// They are ended and named in the result.
    #[default]
    Kill,
    /// They are left running and named in the result.
    Keep,
}

/// When the session hears of the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUpPolicy {
    /// Always.
    #[default]
    Always,
    /// Only when the job did not succeed.
    Failure,
    /// Never; the result can still be read.
    Never,
}
