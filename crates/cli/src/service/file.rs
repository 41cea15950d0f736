//! Writes and removes the service file. Changes a file that homing did not write only when forced.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use homing_supervisor::platform::file::create_public;

use super::MARK;
use crate::exit::Failure;

/// The result of [`write()`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The file is new.
    New,
    /// The file replaced an existing one.
    Replaced,
}

/// The result of [`remove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// The file is removed.
    Removed,
    /// The file did not exist.
    NothingThere,
}

/// Writes the file atomically, and creates its parent directories.
pub(crate) fn write(path: &Path, text: &str, force: bool) -> Result<Written, Failure> {
    let failed = |error: io::Error| cannot("write", path, &error);
    let written = if check_owned(path, force)? { Written::Replaced } else { Written::New };
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let written_file = write_new(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written_file.is_err() {
        // A remaining temporary file does no harm.
        let _ = fs::remove_file(&temporary);
    }
    written_file.map_err(failed)?;
    Ok(written)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = create_public(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Removes the file if it exists.
pub(crate) fn remove(path: &Path, force: bool) -> Result<Removed, Failure> {
    if !check_owned(path, force)? {
        return Ok(Removed::NothingThere);
    }
    fs::remove_file(path).map_err(|error| cannot("remove", path, &error))?;
    Ok(Removed::Removed)
}

/// Whether the file exists. Refuses a file that homing did not write, unless forced.
fn check_owned(path: &Path, force: bool) -> Result<bool, Failure> {
    match fs::symlink_metadata(path) {
        Ok(_) if force => return Ok(true),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(cannot("access", path, &error)),
    }
    let text = fs::read(path).map_err(|error| cannot("read", path, &error))?;
    if String::from_utf8_lossy(&text).contains(MARK) {
        return Ok(true);
    }
    Err(Failure::Refused {
        code: "foreign_service",
        message: format!("{} was not written by homing", path.display()),
        hint: Some("use --force to replace or remove it anyway".to_owned()),
    })
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Refused {
        code: "service",
        message: format!("cannot {what} {}: {error}", path.display()),
        hint: None,
    }
}
