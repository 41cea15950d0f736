//! Opens the home for commands that launch nothing. They create none: a home that does not exist has no jobs.

use homing::{Error, Homing, JobIdPrefix, OpenOptions};

/// Opens the home; `None` where it does not exist.
///
/// # Errors
/// When the home cannot be used safely, or the configuration is wrong.
pub(super) fn open_existing() -> homing::Result<Option<Homing>> {
    OpenOptions::new().open_existing()
}

/// Opens the home for a command that names jobs.
///
/// # Errors
/// [`Error::NoSuchJob`] for the first of them where there is no home; otherwise as [`open_existing`].
pub(super) fn open_for(jobs: &[JobIdPrefix]) -> homing::Result<Homing> {
    let first = jobs.first().map(|job| job.as_str().to_owned()).unwrap_or_default();
    open_existing()?.ok_or(Error::NoSuchJob(first))
}
