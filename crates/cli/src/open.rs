//! Opens the home. Commands that need existing jobs do not create one: a home that does not exist has no jobs. Warns
//! once about a configuration that homing refuses to use.

use homing::{Error, Homing, JobRef, OpenOptions, SessionId};

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

/// Opens the home for a command of a session that refers to a job.
///
/// # Errors
/// That the job does not exist if the home does not; otherwise as [`open_existing`].
pub(crate) fn open_for(reference: &JobRef, session: &SessionId) -> homing::Result<Homing> {
    open_existing()?.ok_or_else(|| match reference {
        JobRef::Id(prefix) => Error::NoSuchJob(prefix.as_str().to_owned()),
        JobRef::Last | JobRef::Name(_) => {
            Error::NoSuchJobInSession { reference: reference.clone(), session: session.clone() }
        }
    })
}

/// Warns on standard error if defaults replace the configuration of the user.
pub(crate) fn warn_of_refused_config(homing: &Homing) {
    if let Some(refusal) = homing.config_refusal() {
        note_with_hint(&format!("{refusal}; homing uses defaults and delivers no results"), &refusal.hint);
    }
}
