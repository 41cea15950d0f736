//! Why a program was not started that the system itself would start.

use std::error::Error;
use std::fmt;
use std::io;

/// homing did not start a program, because it could not keep its promises about it, or has no way to start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRefused {
    reason: String,
    hint: &'static str,
}

impl StartRefused {
    /// Returns an error of this kind with a reason, and what the user can do.
    pub fn error(kind: io::ErrorKind, reason: String, hint: &'static str) -> io::Error {
        io::Error::new(kind, StartRefused { reason, hint })
    }

    /// Returns what the user can do about an error; `None` if it is one of the system.
    pub fn hint_of(error: &io::Error) -> Option<&'static str> {
        error.get_ref()?.downcast_ref::<StartRefused>().map(|refused| refused.hint)
    }
}

impl fmt::Display for StartRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for StartRefused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_is_found_in_the_error() {
        let refused =
            StartRefused::error(io::ErrorKind::PermissionDenied, "it is closed".to_owned(), "open it");
        assert_eq!(
            (refused.to_string().as_str(), StartRefused::hint_of(&refused)),
            ("it is closed", Some("open it"))
        );
        assert_eq!(StartRefused::hint_of(&io::Error::from_raw_os_error(5)), None);
    }
}
