//! Checks the installation and diagnoses problems.
//!
//! | file | checks |
//! |---|---|
//! | `installation` | the configuration, the program of the supervisor |
//! | `system` | features of the system, the place in which this process runs, what homing promises on this system |
//! | `executor` | another machine that runs jobs |
//! | `home` | foreign files, directories without a job, supervisors without a directory |
//! | `jobs` | the ledger, and every job in it |
//! | `undelivered` | jobs that are kept because their results are undelivered |

mod executor;
mod home;
mod installation;
mod jobs;
mod system;
mod undelivered;

use std::path::Path;

use crate::Result;
use crate::check::{Check, Verdict};
use crate::config::LoadedConfig;
use crate::context::Context;
use crate::delivery::monitor::monitor_check;

use installation::{check_config, check_supervisor};
use system::{check_features, check_guarantees, check_placement, check_proc};

/// The checks that do not need a home, for a home at `path` that does not exist yet.
pub(crate) fn checks_without_home(
    path: &Path,
    supervisor: Option<&Path>,
    loaded: &LoadedConfig,
) -> Vec<Check> {
    let detail = format!("{} does not exist yet; the first launch creates it", path.display());
    let mut checks = vec![Check::new("home", Verdict::Ok, detail)];
    checks.extend(check_installation(supervisor, loaded));
    checks.push(monitor_check(&loaded.config, None));
    checks
}

/// Checks the configuration, the program of the supervisor, and the system.
fn check_installation(supervisor: Option<&Path>, loaded: &LoadedConfig) -> Vec<Check> {
    let mut checks = vec![
        check_config(loaded.users_file().as_deref(), loaded.refusal.as_ref()),
        check_supervisor(supervisor),
    ];
    checks.extend(check_features());
    checks.extend(check_proc());
    checks.extend(check_placement());
    checks.extend(check_guarantees());
    checks
}

impl Context {
    /// Checks the home, the supervisor program, the ledger and the features of the kernel. Compares the ledger with
    /// the job directories.
    pub(crate) fn doctor(&self) -> Result<Vec<Check>> {
        let store = &self.store;
        let mut checks = vec![Check::new("home", Verdict::Ok, store.home.root.path().display().to_string())];
        checks.extend(check_installation(store.supervisor.as_deref(), &store.loaded));
        checks.push(self.check_unlinked_supervisors());
        checks.push(self.check_monitor()?);
        checks.push(self.check_planted()?);
        match self.check_jobs() {
            Ok(more) => checks.extend(more),
            Err(error) => checks.push(Check::of_error("ledger", &error)),
        }
        Ok(checks)
    }
}
