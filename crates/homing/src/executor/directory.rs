//! The directory of what is kept about executors.

use homing_supervisor::DiskError;
use homing_supervisor::layout::Directory;

/// Its name, relative to the home.
const EXECUTORS: &str = "executors";

/// Opens it, and creates it if it is missing.
///
/// # Errors
/// If it cannot be created or opened.
pub(super) fn directory_of_executors(home: &Directory) -> Result<Directory, DiskError> {
    home.make_directory(EXECUTORS)?;
    home.open_directory(EXECUTORS)
}

/// Opens it; `None` if it is missing or cannot be opened.
pub(super) fn existing_directory(home: &Directory) -> Option<Directory> {
    home.find_directory(EXECUTORS).ok()?
}
