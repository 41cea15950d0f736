//! The file system of an open file or directory: free space, durability, and whether other machines use it too.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{fstatfs, fstatvfs, syncfs};

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
        let status = fstatvfs(file)?;
        Ok(FreeSpace {
            bytes: status.f_bavail.saturating_mul(status.f_frsize),
            // A file system without a fixed number of files reports zero (statvfs(3)).
            files: (status.f_files > 0).then_some(status.f_favail),
        })
    }
}

/// Makes the whole file system of an open file or directory durable (syncfs(2)). After the creation of many files,
/// this is one call instead of one for each file.
///
/// # Errors
/// If the sync fails.
pub fn sync_file_system(file: impl AsFd) -> io::Result<()> {
    Ok(syncfs(file)?)
}

/// Whether an open file or directory is on a file system that other machines or kernels may use at the same time. On
/// such file systems, locks are not reliable (flock(2), NFS details). FUSE is included, because it may be sshfs or a
/// shared folder.
pub fn is_on_network(file: impl AsFd) -> bool {
    fail::fail_point!("network_file_system", |_| true);
    // f_type as in statfs(2) and linux/magic.h.
    const NETWORK: [u64; 13] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x5346_414f, // AFS
        0x00c3_6400, // Ceph
        0x0102_1997, // 9p
        0x0bd0_0bd0, // Lustre
        0x4750_4653, // GPFS
        0x1983_0326, // BeeGFS
        0x0116_1970, // GFS2
        0x7461_636f, // OCFS2
        0x6573_5546, // FUSE
    ];
    fstatfs(file).is_ok_and(|status| {
        let kind = u64::try_from(status.f_type).map_or(0, |kind| kind & 0xffff_ffff);
        NETWORK.contains(&kind)
    })
}
