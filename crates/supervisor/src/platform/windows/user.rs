//! The user of this process.

use super::sid::{Sid, is_elevated};

/// Returns a number for the user of this process: the last part of the user's SID, which is unique among the users of this
/// machine or its domain. 0 if the system does not report it.
pub fn effective_id() -> u32 {
    Sid::of_this_user().map_or(0, Sid::last_part)
}

/// Whether this process runs elevated, with the rights of an administrator.
pub fn is_root() -> bool {
    is_elevated()
}
