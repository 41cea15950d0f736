//! Opens the home. Commands that need existing jobs do not create one: a home that does not exist has no jobs. Warns
//! once about a configuration that homing refuses to use.

use homing::{Error, Homing, JobIdPrefix, OpenOptions};

use crate::render::note_with_hint;

/// Opens the home, and creates it if it does not exist.
///
/// # Errors
/// When the home cannot be used safely, or the configuration is invalid.
pub(crate) fn open() -> homing::Result<Homing> {
    Homing::open().inspect(warn_of_refused_config)
}

/// Opens the home; `None` if it does not exist.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_existing() -> homing::Result<Option<Homing>> {
    Ok(OpenOptions::new().open_existing()?.inspect(warn_of_refused_config))
}

/// Opens the home for a command that refers to jobs.
///
/// # Errors
/// [`Error::NoSuchJob`] for the first job if the home does not exist; otherwise as [`open_existing`].
pub(crate) fn open_for(jobs: &[JobIdPrefix]) -> homing::Result<Homing> {
    let first = jobs.first().map(|job| job.as_str().to_owned()).unwrap_or_default();
    open_existing()?.ok_or(Error::NoSuchJob(first))
}

/// Warns on standard error if defaults replace the configuration of the user.
pub(crate) fn warn_of_refused_config(homing: &Homing) {
    if let Some(refusal) = homing.config_refusal() {
        note_with_hint(&format!("{refusal}; homing uses defaults and delivers no results"), &refusal.hint);
    }
}
