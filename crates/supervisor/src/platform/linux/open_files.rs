//! The open files of another process, as links in `/proc`. The links work even if a file was renamed or removed
//! (proc_pid_fd(5)).

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file::FileIdentity;

/// The suffix that the kernel appends to the name of a removed file.
const DELETED: &[u8] = b" (deleted)";

/// One open file of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    link: PathBuf,
    /// Current path of the file; its last path if it was removed.
    pub name: PathBuf,
}

impl OpenFile {
    /// Returns the link. It can be opened like the file while the process has the file open.
    pub fn link(&self) -> &Path {
        &self.link
    }

    /// Returns the identity of the file; `None` if the process has closed it.
    pub fn identity(&self) -> Option<FileIdentity> {
        FileIdentity::of_path(&self.link).ok()
    }

    /// Returns the identity of the path `relative` to this open directory. `..` is its parent, even after a
    /// removal.
    pub fn identity_of(&self, relative: &str) -> Option<FileIdentity> {
        FileIdentity::of_path(&self.link.join(relative)).ok()
    }
}

/// Returns the open files of a process that have a path, so no pipes and no sockets.
///
/// # Errors
/// If the process has ended or belongs to another user.
pub fn open_files(pid: u32) -> io::Result<Vec<OpenFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let link = entry?.path();
        // The process has closed it meanwhile.
        let Ok(target) = fs::read_link(&link) else { continue };
        let bytes = target.as_os_str().as_bytes();
        let name = bytes.strip_suffix(DELETED).unwrap_or(bytes);
        if name.starts_with(b"/") {
            files.push(OpenFile { link, name: PathBuf::from(std::ffi::OsStr::from_bytes(name)) });
        }
    }
    Ok(files)
}

/// Whether a process is in the same namespace of this kind (`mnt`, `pid`, …; namespaces(7)) as this process.
pub fn shares_namespace(pid: u32, kind: &str) -> bool {
    let other = fs::read_link(format!("/proc/{pid}/ns/{kind}"));
    let own = fs::read_link(format!("/proc/self/ns/{kind}"));
    matches!((other, own), (Ok(other), Ok(own)) if other == own)
}
