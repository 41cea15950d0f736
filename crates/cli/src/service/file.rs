//! Writes and removes the file of a service. Never touches one that somebody else wrote, unless that is asked for.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::MARK;
use crate::exit::Failure;

/// What became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is new.
    New,
    /// There was one.
    Replaced,
}

/// What became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// It is gone.
    Removed,
    /// There was none.
    NothingThere,
}

/// Writes the file in one atomic step, with the directories above it.
pub(crate) fn write(path: &Path, text: &str, force: bool) -> Result<Written, Failure> {
    let failed = |error: io::Error| cannot("write", path, &error);
    let written = if look(path, force)? { Written::Replaced } else { Written::New };
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let made = write_new(&beside, text).and_then(|()| fs::rename(&beside, path));
    if made.is_err() {
        // What is left of it does no harm.
        let _ = fs::remove_file(&beside);
    }
    made.map_err(failed)?;
    Ok(written)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Removes the file, where there is one.
pub(crate) fn remove(path: &Path, force: bool) -> Result<Removed, Failure> {
    if !look(path, force)? {
        return Ok(Removed::NothingThere);
    }
    fs::remove_file(path).map_err(|error| cannot("remove", path, &error))?;
    Ok(Removed::Removed)
}

/// Whether there is one. A foreign one is refused.
fn look(path: &Path, force: bool) -> Result<bool, Failure> {
    match fs::symlink_metadata(path) {
        Ok(_) if force => return Ok(true),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(cannot("look at", path, &error)),
    }
    let text = fs::read(path).map_err(|error| cannot("read", path, &error))?;
    if String::from_utf8_lossy(&text).contains(MARK) {
        return Ok(true);
    }
    Err(Failure::Refused {
        code: "foreign_service",
        message: format!("{} was not written by homing", path.display()),
        hint: Some("--force takes it all the same".to_owned()),
    })
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Refused {
        code: "service",
        message: format!("cannot {what} {}: {error}", path.display()),
        hint: None,
    }
}
