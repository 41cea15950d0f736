//! The file system of an open file or directory: free space, durability, and whether other machines use it too.
#![allow(unsafe_code, reason = "GetFileType has no safe wrapper")]

use std::fs::File;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle};

use windows_sys::Wdk::Storage::FileSystem::{FileFsDeviceInformation, FileFsFullSizeInformation};
use windows_sys::Wdk::System::SystemServices::{
    FILE_FS_DEVICE_INFORMATION, FILE_FS_FULL_SIZE_INFORMATION, FILE_REMOTE_DEVICE,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_GENERIC_WRITE, FILE_TYPE_DISK, GetFileType};
use windows_sys::Win32::System::Ioctl::{FILE_DEVICE_NETWORK_FILE_SYSTEM, FILE_DEVICE_NULL};

use super::dir::{Directory, EntryKind};
use super::file_name::FileName;
use super::nt::{self, Kind, Open};

/// Most levels of directories below one that is synced.
const MAX_DEPTH: usize = 8;

/// Free space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes that this user can still write.
    pub bytes: u64,
    /// Files that this user can still create; always `None`: file systems of Windows have no fixed number of files.
    pub files: Option<u64>,
}

impl FreeSpace {
    /// Returns the free space of the file system that an open file or directory is on.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn of(file: impl AsHandle) -> io::Result<FreeSpace> {
        let size: FILE_FS_FULL_SIZE_INFORMATION = nt::query_volume(file, FileFsFullSizeInformation)?;
        let unit = u64::from(size.SectorsPerAllocationUnit) * u64::from(size.BytesPerSector);
        let units = u64::try_from(size.CallerAvailableAllocationUnits).unwrap_or(0);
        Ok(FreeSpace { bytes: units.saturating_mul(unit), files: None })
    }
}

/// Makes every file below an open directory durable, one after the other. Only an administrator can sync a whole file
/// system. Does not follow links.
///
/// # Errors
/// If the sync fails, or the directories are more than 8 levels deep.
pub fn sync_file_system(directory: impl AsHandle) -> io::Result<()> {
    sync_below(&Directory::of_handle(directory)?, MAX_DEPTH)
}

fn sync_below(directory: &Directory, levels: usize) -> io::Result<()> {
    if levels == 0 {
        return Err(io::Error::other("the directories are too deep"));
    }
    for (name, kind) in directory.entries()? {
        match kind {
            Some(EntryKind::Directory) => sync_below(&directory.open_directory(name.as_ref())?, levels - 1)?,
            Some(EntryKind::File) => {
                let open = Open::existing(Kind::NotDirectory, FILE_GENERIC_WRITE);
                File::from(open.at(directory, &FileName::new(&name)?)?).sync_all()?;
            }
            Some(EntryKind::Other) | None => {}
        }
    }
    directory.sync()
}

/// Whether an open file or directory is on a network drive, which other machines may use at the same time. On such file
/// systems, locks are not reliable. Folders of WSL and of hosts of virtual machines are network drives too.
pub fn is_on_network(file: impl AsHandle) -> bool {
    fail::fail_point!("network_file_system", |_| true);
    device_of(&file).is_some_and(|device| {
        device.Characteristics & FILE_REMOTE_DEVICE != 0
            || device.DeviceType == FILE_DEVICE_NETWORK_FILE_SYSTEM
    })
}

/// Whether it is the null device.
pub(super) fn is_null_device(file: &impl AsHandle) -> bool {
    device_of(file).is_some_and(|device| device.DeviceType == FILE_DEVICE_NULL)
}

/// Whether it is on a disk, here or on another machine, as opposed to a console, a pipe or another device.
pub(super) fn is_disk(file: &impl AsHandle) -> bool {
    // SAFETY: the handle is open.
    unsafe { GetFileType(file.as_handle().as_raw_handle()) == FILE_TYPE_DISK }
}

fn device_of(file: &impl AsHandle) -> Option<FILE_FS_DEVICE_INFORMATION> {
    nt::query_volume(file, FileFsDeviceInformation).ok()
}

#[cfg(test)]
mod tests {
    use super::super::file::open_null;
    use super::*;

    #[test]
    fn kinds_of_devices_are_distinguished() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        assert!(is_disk(&directory) && !is_null_device(&directory));
        assert!(!is_on_network(&directory), "{:?}", device_of(&directory).map(|device| device.DeviceType));
        assert!(is_disk(&directory.create("file").unwrap()));
        let null = open_null().unwrap();
        assert!(is_null_device(&null) && !is_disk(&null));
    }

    #[test]
    fn everything_below_a_directory_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        directory.make_directory("a").unwrap();
        directory.open_directory("a".as_ref()).unwrap().create("file").unwrap();
        sync_file_system(&directory).unwrap();
    }
}
