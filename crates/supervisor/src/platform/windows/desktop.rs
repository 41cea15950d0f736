//! Notices on the desktop of this user: none on this system.

const REASON: &str =
    "this system has no desktop notices in homing; use a sink of another kind: ntfy, webhook or command";

/// Whether this system can show notices, or else why not and what to use in their place.
///
/// # Errors
/// Always.
pub fn support() -> Result<(), &'static str> {
    Err(REASON)
}

/// Shows no notice.
///
/// # Errors
/// Always the reason of [`support`].
pub fn show(_title: &str, _body: &str) -> Result<(), String> {
    Err(REASON.to_owned())
}
