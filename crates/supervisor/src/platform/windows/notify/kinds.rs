//! What is watched, and which changes are reported.

use std::ops::BitOr;

/// One watched file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(pub(super) u64);

/// Which changes are reported. Combine them with `|`. Changes of other kinds may be reported too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeKinds(u8);

impl ChangeKinds {
    /// The file, or a file in the directory, was written or truncated.
    pub const WRITTEN: ChangeKinds = ChangeKinds(1);
    /// The file, or a file in the directory, was written and closed. Windows does not tell these apart, so each write is
    /// reported that it notices.
    pub const CLOSED: ChangeKinds = ChangeKinds(1 << 1);
    /// Something was created in the directory.
    pub const CREATED: ChangeKinds = ChangeKinds(1 << 2);
    /// Something was renamed into the directory.
    pub const MOVED_IN: ChangeKinds = ChangeKinds(1 << 3);
    /// The watched file or directory itself was renamed.
    pub const MOVED: ChangeKinds = ChangeKinds(1 << 4);
    /// The watched file or directory itself was removed.
    pub const REMOVED: ChangeKinds = ChangeKinds(1 << 5);

    pub(super) fn intersects(self, other: ChangeKinds) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for ChangeKinds {
    type Output = ChangeKinds;

    fn bitor(self, other: ChangeKinds) -> ChangeKinds {
        ChangeKinds(self.0 | other.0)
    }
}
