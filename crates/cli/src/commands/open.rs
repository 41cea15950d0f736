//! Opens the home. Commands that launch nothing create none: a home that does not exist has no jobs. A configuration that
//! cannot be trusted is named once.

use homing::{Error, Homing, JobIdPrefix, OpenOptions};

use crate::exit::note_with_hint;

/// Opens the home, and makes it where it does not exist.
///
/// # Errors
/// When the home cannot be used safely, or the configuration is wrong.
pub(super) fn open() -> homing::Result<Homing> {
    Homing::open().inspect(warn_of_refused_config)
}

/// Opens the home; `None` where it does not exist.
///
/// # Errors
/// As [`open`].
pub(super) fn open_existing() -> homing::Result<Option<Homing>> {
    Ok(OpenOptions::new().open_existing()?.inspect(warn_of_refused_config))
}

/// Says on standard error why defaults are used in place of the user's configuration.
pub(crate) fn warn_of_refused_config(homing: &Homing) {
    if let Some(refusal) = homing.config_refusal() {
        note_with_hint(&format!("{refusal}; defaults are used, and nobody is woken"), &refusal.hint);
    }
}

/// Opens the home for a command that names jobs.
///
/// # Errors
/// [`Error::NoSuchJob`] for the first of them where there is no home; otherwise as [`open_existing`].
pub(super) fn open_for(jobs: &[JobIdPrefix]) -> homing::Result<Homing> {
    let first = jobs.first().map(|job| job.as_str().to_owned()).unwrap_or_default();
    open_existing()?.ok_or(Error::NoSuchJob(first))
}
