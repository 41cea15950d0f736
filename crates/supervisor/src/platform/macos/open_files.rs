//! The open files of another process.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file::{FileIdentity, device};
use super::libproc;

/// One open file of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    identity: FileIdentity,
    /// Current path of the file; its last path if it was removed and the system still knows that.
    pub name: PathBuf,
}

impl OpenFile {
    /// Returns the path at which the file can be opened, if it was not removed.
    pub fn link(&self) -> &Path {
        &self.name
    }

    /// Returns the identity of the file.
    pub fn identity(&self) -> Option<FileIdentity> {
        Some(self.identity)
    }

    /// Returns the identity of the path `relative` to this open directory; `None` if the directory was removed or replaced.
    pub fn identity_of(&self, relative: &str) -> Option<FileIdentity> {
        let is_here = || FileIdentity::of_path(&self.name).is_ok_and(|found| found == self.identity);
        let found = is_here().then(|| FileIdentity::of_path(&self.name.join(relative)).ok()).flatten();
        // The directory may have been replaced between the two.
        found.filter(|_| is_here())
    }
}

/// Returns the open files of a process that are files or directories, so no pipes and no sockets.
///
/// # Errors
/// If the process has ended or belongs to another user.
pub fn open_files(pid: u32) -> io::Result<Vec<OpenFile>> {
    let mut descriptors = libproc::descriptors(pid)?;
    descriptors.retain(|(_, kind)| *kind == libproc::VNODE);
    descriptors.sort_unstable();
    // The process may have closed one meanwhile.
    let vnodes = descriptors.into_iter().filter_map(|(descriptor, _)| libproc::vnode(pid, descriptor).ok());
    Ok(vnodes
        .map(|vnode| OpenFile {
            identity: FileIdentity { device: device(vnode.device.cast_signed()), inode: vnode.inode },
            name: PathBuf::from(OsStr::from_bytes(&vnode.path)),
        })
        .collect())
}

/// Whether a process is in the same namespace as this process. macOS has no namespaces.
pub fn shares_namespace(_pid: u32, _kind: &str) -> bool {
    true
}
