//! Notices on the desktop of this user. homing has none on macOS: a program without an application bundle cannot show any.

const UNSUPPORTED: &str =
    "this system has no desktop notices in homing; use a sink of another kind: ntfy, webhook or command";

/// Whether this system can show notices, or else why not and what to use in their place.
///
/// # Errors
/// Always.
pub fn support() -> Result<(), &'static str> {
    Err(UNSUPPORTED)
}

/// Shows a notice.
///
/// # Errors
/// Always.
pub fn show(_title: &str, _body: &str) -> Result<(), String> {
    Err(UNSUPPORTED.to_owned())
}
