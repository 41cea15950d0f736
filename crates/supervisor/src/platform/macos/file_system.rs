//! The file system of an open file or directory: free space, durability, and whether other machines use it too.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{fcntl_fullfsync, fstatfs, fstatvfs, fsync};

/// Free space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes that this user can still write.
    pub bytes: u64,
    /// Files that this user can still create; `None` if the file system has no fixed number of files.
    pub files: Option<u64>,
}

impl FreeSpace {
    /// Returns the free space of the file system that an open file or directory is on.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn of(file: impl AsFd) -> io::Result<FreeSpace> {
        // statvfs(3) has only 32 bits for the number of blocks.
        let status = fstatfs(&file)?;
        let files = fstatvfs(file).ok().filter(|status| status.f_files > 0).map(|status| status.f_favail);
        Ok(FreeSpace { bytes: status.f_bavail.saturating_mul(u64::from(status.f_bsize)), files })
    }
}

/// Makes the whole file system of an open file or directory durable. macOS has no call for one file system: sync(2) only
/// starts to write. `F_FULLFSYNC` on any file makes the drive write its cache, so all that sync(2) has written before.
///
/// # Errors
/// If the sync fails.
pub fn sync_file_system(file: impl AsFd) -> io::Result<()> {
    rustix::fs::sync();
    match fcntl_fullfsync(&file) {
        Ok(()) => Ok(()),
        // A file system without it, such as one on a network.
        Err(_) => Ok(fsync(file)?),
    }
}

/// Whether an open file or directory is on a file system that other machines or kernels may use at the same time: all
/// that are not local (`MNT_LOCAL`, statfs(2)), and those of FUSE, which may be sshfs or a shared folder and may call
/// themselves local. On such file systems, locks are not reliable.
pub fn is_on_network(file: impl AsFd) -> bool {
    fail::fail_point!("network_file_system", |_| true);
    /// Parts of the names in `f_fstypename`: `macfuse`, `osxfuse`, `fusefs_…`, `virtiofs`.
    const SHARED: [&str; 2] = ["fuse", "virtiofs"];
    fstatfs(file).is_ok_and(|status| {
        let bytes = status.f_fstypename.map(libc::c_char::cast_unsigned);
        let name = CStr::from_bytes_until_nul(&bytes).map(CStr::to_string_lossy).unwrap_or_default();
        status.f_flags & libc::MNT_LOCAL.cast_unsigned() == 0 || SHARED.iter().any(|part| name.contains(part))
    })
}
