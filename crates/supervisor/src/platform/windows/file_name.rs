//! The name of one entry of a directory, checked: the native interface accepts names that other programs cannot open, and
//! separators would leave the directory.

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;

/// Longest name of a file, in UTF-16 units.
const MAX_UNITS: usize = 255;

/// Names of devices. Windows opens the device in place of a file with such a name, whatever its extension is.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// A valid name.
#[derive(Debug)]
pub(super) struct FileName(Vec<u16>);

impl FileName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] with the reason if no file can have this name.
    pub(super) fn new(name: impl AsRef<OsStr>) -> io::Result<FileName> {
        let name = name.as_ref();
        match reason_against(name) {
            None => Ok(FileName(name.encode_wide().collect())),
            Some(reason) => Err(io::Error::new(io::ErrorKind::InvalidInput, reason)),
        }
    }

    pub(super) fn units(&self) -> &[u16] {
        &self.0
    }
}

/// Why no file can have this name; `None` for a valid name.
pub(super) fn reason_against(name: &OsStr) -> Option<&'static str> {
    let text = name.to_string_lossy();
    if text.is_empty() || text == "." || text == ".." {
        return Some("it is not the name of a file");
    }
    if name.encode_wide().count() > MAX_UNITS {
        return Some("the name is longer than 255 characters");
    }
    if text.contains(|c: char| c < ' ' || r#"\/:*?"<>|"#.contains(c)) {
        return Some(r#"Windows does not allow control characters and \ / : * ? " < > | in names"#);
    }
    if text.ends_with(['.', ' ']) {
        return Some("Windows does not allow a dot or a space at the end of a name");
    }
    is_device(&text).then_some("Windows reserves this name for a device")
}

fn is_device(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or(name).trim_end().to_lowercase();
    let is_numbered = |kind: &str| {
        base.strip_prefix(kind).is_some_and(|number| {
            // Superscript digits count too.
            matches!(number, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "0" | "¹" | "²" | "³")
        })
    };
    DEVICES.contains(&&*base) || is_numbered("com") || is_numbered("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_does_not_allow_are_refused_with_a_reason() {
        let is_allowed = |name: &str| reason_against(name.as_ref()).is_none();
        for name in
            ["record", ".hidden", "a b", "console", "com", "com10", "auxiliary.txt", "ü", &"x".repeat(255)]
        {
            assert!(is_allowed(name), "{name}");
        }
        for name in [
            "", ".", "..", "a/b", r"a\b", "a:b", "a.", "a ", "nul", "NUL.txt", "Com1", "lpt9.log", "a\n",
            "aux .",
        ] {
            assert!(!is_allowed(name), "{name}");
            assert_eq!(FileName::new(name).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert!(!is_allowed(&"x".repeat(256)));
    }
}
