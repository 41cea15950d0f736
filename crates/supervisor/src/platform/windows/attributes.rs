//! The attributes of an open file: its type and its times.

use std::io;
use std::os::windows::io::AsHandle;

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TAG_INFO, FILE_BASIC_INFO,
    FileAttributeTagInfo, FileBasicInfo,
};

use super::entry_kind::EntryKind;
use super::nt;

/// Bit of a reparse tag: the file stands for another one ([MS-FSCC] 2.1.2.1). Symbolic links and mount points have it;
/// compressed files and files of a cloud do not.
const NAME_SURROGATE: u32 = 0x2000_0000;

/// Attributes of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    /// The flags `FILE_ATTRIBUTE_…`.
    pub(super) flags: u32,
    /// The kind of its reparse point; 0 if it is none.
    pub(super) reparse_tag: u32,
}

impl Attributes {
    /// Returns the attributes of an open file or directory.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub(super) fn of(file: impl AsHandle) -> io::Result<Attributes> {
        let basic: FILE_BASIC_INFO = nt::query(&file, FileBasicInfo)?;
        let reparse_tag = match basic.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT {
            0 => 0,
            _ => nt::query::<FILE_ATTRIBUTE_TAG_INFO>(&file, FileAttributeTagInfo)?.ReparseTag,
        };
        Ok(Attributes { flags: basic.FileAttributes, reparse_tag })
    }

    /// Whether it is a symbolic link or a mount point, which includes junctions.
    pub(super) fn is_link(self) -> bool {
        self.reparse_tag & NAME_SURROGATE != 0
    }

    /// Whether it has the attribute of directories. Links to directories have it too.
    pub(super) fn has_directory_flag(self) -> bool {
        self.flags & FILE_ATTRIBUTE_DIRECTORY != 0
    }

    /// Its type.
    pub(super) fn kind(self) -> EntryKind {
        if self.is_link() {
            EntryKind::Other
        } else if self.has_directory_flag() {
            EntryKind::Directory
        } else {
            EntryKind::File
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_distinguished_from_other_reparse_points() {
        let kind = |flags, reparse_tag| Attributes { flags, reparse_tag }.kind();
        // Symbolic link, junction, file of a cloud, compressed file.
        assert_eq!(kind(FILE_ATTRIBUTE_DIRECTORY, 0xa000_000c), EntryKind::Other);
        assert_eq!(kind(FILE_ATTRIBUTE_DIRECTORY, 0xa000_0003), EntryKind::Other);
        assert_eq!(kind(FILE_ATTRIBUTE_DIRECTORY, 0x9000_001a), EntryKind::Directory);
        assert_eq!(kind(0, 0x8000_0017), EntryKind::File);
    }
}
