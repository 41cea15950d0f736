//! Identifies files and directories.
#![allow(unsafe_code, reason = "GetFileInformationByHandle has no safe wrapper")]

use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_ID_INFO,
    FILE_READ_ATTRIBUTES, FileIdInfo, GetFileInformationByHandle, READ_CONTROL,
};

use super::nt::{self, of_path};

/// The rights of a handle that is opened only to ask about a file.
pub(super) const INSPECT: u32 = FILE_READ_ATTRIBUTES | READ_CONTROL;

/// Identifies a file or directory while it exists: volume, and id in the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    pub(super) volume: u64,
    pub(super) id: u128,
}

impl FileIdentity {
    /// Returns the identity of an open file or directory.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn of(file: impl AsHandle) -> io::Result<FileIdentity> {
        match nt::query::<FILE_ID_INFO>(&file, FileIdInfo) {
            Ok(found) => Ok(FileIdentity {
                volume: found.VolumeSerialNumber,
                id: u128::from_le_bytes(found.FileId.Identifier),
            }),
            // FAT has only ids of 64 bits.
            Err(_) => FileIdentity::of_64_bits(file),
        }
    }

    fn of_64_bits(file: impl AsHandle) -> io::Result<FileIdentity> {
        let mut found = BY_HANDLE_FILE_INFORMATION::default();
        // SAFETY: the handle is open, and `found` is the structure that the call fills.
        if unsafe { GetFileInformationByHandle(file.as_handle().as_raw_handle(), &raw mut found) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let id = u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow);
        Ok(FileIdentity { volume: u64::from(found.dwVolumeSerialNumber), id: u128::from(id) })
    }

    /// Returns the identity of the file at `path`. Follows links.
    ///
    /// # Errors
    /// If the path does not exist or cannot be reached.
    pub fn of_path(path: &Path) -> io::Result<FileIdentity> {
        FileIdentity::of(inspect(path, true)?)
    }

    /// Returns a name for a kernel object that stands for this file.
    pub(super) fn object_name(self, kind: &str) -> String {
        format!("{kind}-{:x}-{:x}", self.volume, self.id)
    }
}

/// Opens what a path names only to ask about it. Follows a link at its end if `follows`.
pub(super) fn inspect(path: &Path, follows: bool) -> io::Result<OwnedHandle> {
    let link = if follows { 0 } else { FILE_FLAG_OPEN_REPARSE_POINT };
    let mut options = OpenOptions::new();
    options.access_mode(INSPECT).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | link);
    Ok(options.open(path).map_err(of_path)?.into())
}
