//! Reads files that contain secrets. They must be regular and readable only by their owner; errors never show them.

use std::io::Read;
use std::path::Path;

use homing_supervisor::platform::access::{self, Access};
use homing_supervisor::platform::file::open_to_read;

use crate::{Error, Result};

/// Longest accepted file, in bytes.
const MAX_BYTES: u64 = 16 * 1024;

/// Reads a file that contains a secret. Follows links, because the operator named the file.
///
/// # Errors
/// [`Error::SecretRefused`] if it cannot be read, is not a regular file, is accessible to other users, or is not
/// short UTF-8 text.
pub fn read_secret_file(path: &Path) -> Result<String> {
    let refused = |reason: String| refuse_secret(path, reason);
    let file = open_to_read(path).map_err(|error| refused(error.to_string()))?;
    let access = Access::of(&file).map_err(|error| refused(error.to_string()))?;
    if !access.is_regular {
        return Err(refused("it is not a regular file".to_owned()));
    }
    if let Some(exposure) = access::secret(&file, path).map_err(|error| refused(error.to_string()))? {
        let (reason, hint) = (exposure.reason, Some(exposure.hint));
        return Err(Error::SecretRefused { path: path.to_owned(), reason, hint });
    }
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refused(format!("it is longer than {MAX_BYTES} bytes")));
    }
    // The conversion error would show the bytes.
    String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8 text".to_owned()))
}

/// The error for a file with a secret.
pub(super) fn refuse_secret(path: &Path, reason: String) -> Error {
    Error::SecretRefused { path: path.to_owned(), reason, hint: None }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refusal(path: &Path) -> String {
        let error = read_secret_file(path).expect_err("the file must be refused");
        format!("{error}; {}", error.hint().map(|hint| hint.to_string()).unwrap_or_default())
    }

    #[test]
    fn a_file_that_other_users_can_access_is_refused_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.secret");
        std::fs::write(&path, "hunter2").unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refusal = refusal(&path);
            assert!(refusal.contains(&format!("mode {mode:04o}")), "{refusal}");
            assert!(refusal.contains("chmod 600 /") && !refusal.contains("hunter2"), "{refusal}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_secret_file(&path).unwrap(), "hunter2");
    }

    #[test]
    fn a_file_that_is_not_short_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            path
        };
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, reason) in [
            (folder.path().join("missing"), "No such file"),
            (folder.path().to_owned(), "not a regular file"),
            (pipe, "not a regular file"),
            (write("long", &[b'a'; 16 * 1024 + 1]), "longer than 16384 bytes"),
            (write("bytes", b"hunter2\xff"), "not UTF-8 text"),
        ] {
            let refusal = refusal(&path);
            assert!(refusal.contains(reason) && !refusal.contains("hunter2"), "{refusal}");
        }
    }
}
