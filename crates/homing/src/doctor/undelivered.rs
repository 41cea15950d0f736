//! Counts the jobs that are kept because their results are undelivered.

use homing_core::format_duration;

use crate::Result;
use crate::check::{Check, Verdict};
use crate::context::Context;
use crate::ledger::KeptForSession;

/// Disk space of a job without its output, in bytes (ext4, see docs/benchmarks.md).
const JOB_DISK_BYTES: u64 = 12 << 10;

/// The most sessions that are named.
const MAX_SESSIONS: usize = 5;

impl Context {
    /// Counts the jobs that are kept because their results are undelivered.
    pub(super) fn check_undelivered(&self) -> Result<Option<Check>> {
        let waiting = self.with_ledger(|ledger| ledger.undelivered(u32::MAX))?;
        let jobs: u64 = waiting.iter().map(|session| session.jobs).sum();
        if jobs == 0 {
            return Ok(None);
        }
        let bytes = |session: &KeptForSession| session.output_bytes + session.jobs * JOB_DISK_BYTES;
        let total: u64 = waiting.iter().map(bytes).sum();
        let mut named: Vec<String> = waiting
            .iter()
            .take(MAX_SESSIONS)
            .map(|session| {
                let (name, jobs) = (&session.session, session.jobs);
                format!("{name}: {jobs} jobs, {}", as_megabytes(bytes(session)))
            })
            .collect();
        if waiting.len() > MAX_SESSIONS {
            named.push(format!("{} more sessions", waiting.len() - MAX_SESSIONS));
        }
        let age = format_duration(self.config().retention.undelivered);
        let detail = format!(
            "{jobs} finished jobs (about {}) are kept until their results are delivered, for at most {age} ({})",
            as_megabytes(total),
            named.join("; ")
        );
        Ok(Some(Check::new("undelivered", Verdict::Note, detail).hint(
            "run `homing follow-ups` to see why; `homing ack` acknowledges them, `homing drop` discards them",
        )))
    }
}

/// Formats bytes as megabytes.
fn as_megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
