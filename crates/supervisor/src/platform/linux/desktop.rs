//! Notices on the desktop of this user, through the notification service of the session's D-Bus.

use notify_rust::{Notification, Urgency};

/// Whether this system can show notices, or else why not and what to use in their place.
///
/// # Errors
/// Never: this system can.
pub fn support() -> Result<(), &'static str> {
    Ok(())
}

/// Shows a notice, and waits until the service has accepted it. `body` is markup: `&`, `<` and `>` are escaped.
///
/// # Errors
/// The reason, if the desktop has no notification service, or it refuses the notice.
pub fn show(title: &str, body: &str) -> Result<(), String> {
    Notification::new()
        .appname("homing")
        .summary(title)
        .body(body)
        // A critical notice would stay until the user closes it. A failed job is not that urgent.
        .urgency(Urgency::Normal)
        .show()
        .map(drop)
        .map_err(|error| error.to_string())
}
