//! Finds the jobs that were named on the command line.

use homing::{Homing, JobId, JobIdPrefix};

/// The jobs that these prefixes mean, each once, in the order in which they were named.
///
/// # Errors
/// Where one of them means no job, or several.
pub(super) fn find_named(homing: &Homing, prefixes: &[JobIdPrefix]) -> homing::Result<Vec<JobId>> {
    let mut ids = Vec::with_capacity(prefixes.len());
    for prefix in prefixes {
        let id = homing.resolve(prefix)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}
