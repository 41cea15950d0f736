//! Jobs on other machines. An executor is a machine that is reached with ssh(1) and runs homing itself: there the job is an
//! ordinary one. At home it has a directory without a supervisor. One process for each executor, the mirror
//! ([`crate::mirror`]), writes into its record what the executor reports.

pub(crate) mod connection;
mod directory;
mod ended;
pub(crate) mod health;
mod kill;
mod launch;
pub(crate) mod mirror_process;
mod output;
pub(crate) mod protocol;
pub(crate) mod record;
mod set_up;
mod ssh;
mod status;

pub use health::ExecutorHealth;
pub(crate) use output::OutputThere;
pub use set_up::CopiedProgram;
pub use status::ExecutorStatus;

use crate::config::ExecutorConfig;
use crate::context::Context;
use crate::{Error, Result};

impl Context {
    /// An executor of the configuration.
    pub(crate) fn executor(&self, name: &str) -> Result<&ExecutorConfig> {
        if let Some(executor) = self.config().executors.get(name) {
            return Ok(executor);
        }
        self.store.loaded.check_is_trusted()?;
        Err(Error::NoSuchExecutor {
            name: name.to_owned(),
            known: self.config().executors.keys().cloned().collect(),
        })
    }
}
