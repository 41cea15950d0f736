//! Checks that the configuration file can be trusted, because homing runs the programs that it names. The user or
//! root must own it, and no other user may be able to write to the file or its folder.

use std::io::{self, Read};
use std::path::Path;

use homing_core::text::grouped;
use homing_supervisor::platform::access::{Access, Exposure, trusted, trusted_link};
use homing_supervisor::platform::dir::Directory;

use crate::error::ConfigRefusal;
use crate::{Error, Result};

/// Longest accepted configuration, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a trusted configuration. Never blocks, also if it is a FIFO.
///
/// # Errors
/// [`Error::ConfigRefused`] if other users can write it. [`Error::InvalidConfig`] if it cannot be read, is not a
/// regular file, is longer than 1 MiB, or is not text.
pub(super) fn read_trusted(path: &Path) -> Result<String> {
    let invalid = |message: String| Error::InvalidConfig { path: path.to_owned(), message };
    let unreadable = |error: io::Error| invalid(error.to_string());
    let accept = |checked: &Path, exposure: Option<Exposure>| match exposure {
        None => Ok(()),
        Some(Exposure { reason, hint, .. }) => {
            let what = if checked == path { String::new() } else { format!("{}: ", checked.display()) };
            let refusal = ConfigRefusal { path: path.to_owned(), reason: what + &reason, hint };
            Err(Error::ConfigRefused(refusal))
        }
    };
    let resolved = std::fs::canonicalize(path).map_err(unreadable)?;
    let (Some(folder_path), Some(name)) = (resolved.parent(), resolved.file_name()) else {
        return Err(invalid("it is not a regular file".to_owned()));
    };
    // A user who can write to the folder of a link can replace the link.
    let link_folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let link_folder = std::fs::canonicalize(link_folder).map_err(unreadable)?;
    let folder = Directory::open(folder_path).map_err(unreadable)?;
    // Opens the file of the checked folder, even if folders are renamed meanwhile.
    let file = folder.open_any(name).map_err(unreadable)?;
    let access = Access::of(&file).map_err(unreadable)?;
    // It counts as an empty configuration, although every user can write to it.
    if access.is_null_device {
        return Ok(String::new());
    }
    accept(folder_path, trusted(&folder, folder_path).map_err(unreadable)?)?;
    if link_folder != folder_path {
        let folder = Directory::open(&link_folder).map_err(unreadable)?;
        accept(&link_folder, trusted(&folder, &link_folder).map_err(unreadable)?)?;
    }
    accept(path, trusted_link(path).map_err(unreadable)?)?;
    accept(&resolved, trusted(&file, &resolved).map_err(unreadable)?)?;
    if !access.is_regular {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(format!("it is longer than {} bytes", grouped(MAX_BYTES))));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text".to_owned()))
}
