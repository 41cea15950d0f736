//! Which changes of a watched file or directory are reported.

use std::ops::BitOr;

/// Which changes are reported. Combine them with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeKinds(u8);

impl ChangeKinds {
    /// The file, or a file in the directory, was written or truncated.
    pub const WRITTEN: ChangeKinds = ChangeKinds(1);
    /// The file, or a file in the directory, was written, or announced
    /// ([`announce_write`](super::file::announce_write)). The kernel does not report that it was closed.
    pub const CLOSED: ChangeKinds = ChangeKinds(2);
    /// Something was created in the directory.
    pub const CREATED: ChangeKinds = ChangeKinds(4);
    /// Something was renamed into the directory.
    pub const MOVED_IN: ChangeKinds = ChangeKinds(8);
    /// The watched file or directory itself was renamed.
    pub const MOVED: ChangeKinds = ChangeKinds(16);
    /// The watched file or directory itself was removed.
    pub const REMOVED: ChangeKinds = ChangeKinds(32);

    /// Whether one of these kinds is among them.
    pub(super) fn has(self, kinds: ChangeKinds) -> bool {
        self.0 & kinds.0 != 0
    }
}

impl BitOr for ChangeKinds {
    type Output = ChangeKinds;

    fn bitor(self, other: ChangeKinds) -> ChangeKinds {
        ChangeKinds(self.0 | other.0)
    }
}
