//! Writes and removes the service file. Changes a file that homing did not write only when forced.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use homing_supervisor::platform::file::create_public;

use super::definition::MARK;
use crate::exit::Failure;

/// The result of [`Staged::commit`].
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

/// A service file that is written under another name. Dropping it removes it.
#[derive(Debug)]
#[must_use = "commit() puts it in its place"]
pub(crate) struct Staged<'a> {
    temporary: PathBuf,
    path: &'a Path,
    written: Written,
}

/// Writes the file beside its place, and creates its parent directories.
pub(crate) fn stage<'a>(path: &'a Path, text: &str, force: bool) -> Result<Staged<'a>, Failure> {
    let failed = |error: io::Error| cannot("write", path, &error);
    let written = if check_owned(path, force)? { Written::Replaced } else { Written::New };
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let staged = Staged { temporary, path, written };
    write_new(&staged.temporary, text).map_err(failed)?;
    Ok(staged)
}

impl Staged<'_> {
    /// The path under which it is written.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Puts the file in its place, atomically.
    pub(crate) fn commit(self) -> Result<Written, Failure> {
        fs::rename(&self.temporary, self.path).map_err(|error| cannot("write", self.path, &error))?;
        Ok(self.written)
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // It does not exist any more after a commit. A remaining temporary file does no harm.
        let _ = fs::remove_file(&self.temporary);
    }
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
pub(crate) fn check_owned(path: &Path, force: bool) -> Result<bool, Failure> {
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
