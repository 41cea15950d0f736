//! The files that another process holds open, as the kernel's own links to them: they lead to a file that has been
//! renamed or removed, too (proc_pid_fd(5)).

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the kernel appends to the name of a file that was removed.
const DELETED: &[u8] = b" (deleted)";

/// One open file of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    link: PathBuf,
    /// Where the file is now, or where it was when it was removed.
    pub name: PathBuf,
}

impl OpenFile {
    /// The link, which can be opened like the file itself while the process holds it.
    pub fn link(&self) -> &Path {
        &self.link
    }

    /// Device and inode of the file; `None` where the process has closed it.
    pub fn identity(&self) -> Option<(u64, u64)> {
        identity(&self.link)
    }

    /// Device and inode of what `relative` leads to from this open directory. `..` is the directory that it is in, or
    /// was in when it was removed.
    pub fn identity_of(&self, relative: &str) -> Option<(u64, u64)> {
        identity(&self.link.join(relative))
    }
}

/// Device and inode of what is at `path`, through links.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The open files of a process that have a name in the file system: no pipes and no sockets.
///
/// # Errors
/// When the process is gone, or belongs to another user.
pub fn open_files(pid: u32) -> io::Result<Vec<OpenFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let link = entry?.path();
        // Closed meanwhile.
        let Ok(target) = fs::read_link(&link) else { continue };
        let bytes = target.as_os_str().as_bytes();
        let name = bytes.strip_suffix(DELETED).unwrap_or(bytes);
        if name.starts_with(b"/") {
            files.push(OpenFile { link, name: PathBuf::from(std::ffi::OsStr::from_bytes(name)) });
        }
    }
    Ok(files)
}

/// Whether a process sees the same namespace of this kind (`mnt`, `pid`, …; namespaces(7)) as this one.
pub fn shares_namespace(pid: u32, kind: &str) -> bool {
    let theirs = fs::read_link(format!("/proc/{pid}/ns/{kind}"));
    let ours = fs::read_link(format!("/proc/self/ns/{kind}"));
    matches!((theirs, ours), (Ok(theirs), Ok(ours)) if theirs == ours)
}
