//! What is known about the configured executors.

use serde::Serialize;

use super::health::ExecutorHealth;
use crate::Result;
use crate::config::ExecutorConfig;
use crate::context::Context;

/// An executor of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExecutorStatus {
    /// Its name.
    pub name: String,
    /// The destination of ssh(1).
    pub ssh: String,
    /// How many of its jobs have not finished.
    pub unfinished: usize,
    /// What is known about the connection; `None` if there was none yet.
    pub health: Option<ExecutorHealth>,
}

impl Context {
    /// The configured executors, by name.
    pub(crate) fn executors(&self) -> Result<Vec<ExecutorStatus>> {
        let unfinished = self.with_ledger(|ledger| ledger.unfinished_on_executors())?;
        let status = |(name, config): (&String, &ExecutorConfig)| ExecutorStatus {
            name: name.clone(),
            ssh: config.ssh.clone(),
            unfinished: unfinished.values().filter(|executor| *executor == name).count(),
            health: self.executor_health(name),
        };
        Ok(self.config().executors.iter().map(status).collect())
    }
}
