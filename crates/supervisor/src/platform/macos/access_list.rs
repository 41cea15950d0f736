//! The access control list of a file (acl(3)). Its entries give rights beside the permission bits, or take them away.
#![allow(unsafe_code, reason = "acl(3) has no safe wrapper")]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `sys/acl.h`.
const ACL_TYPE_EXTENDED: c_int = 0x100;
const ACL_FIRST_ENTRY: c_int = 0;
const ACL_NEXT_ENTRY: c_int = -1;
const ACL_EXTENDED_ALLOW: c_int = 1;

/// Rights to change content, entries, or rights: write, delete, append, delete child, write security, change owner
/// (`KAUTH_VNODE_*` in the kernel's `sys/kauth.h`, which `sys/acl.h` uses).
const WRITE: u64 = 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 12 | 1 << 13;

/// An access control list, which is freed at the end.
struct AccessList(*mut c_void);

unsafe extern "C" {
    fn acl_get_fd_np(file: c_int, kind: c_int) -> *mut c_void;
    fn acl_get_entry(list: *mut c_void, which: c_int, entry: *mut *mut c_void) -> c_int;
    fn acl_get_tag_type(entry: *mut c_void, tag: *mut c_int) -> c_int;
    fn acl_get_permset_mask_np(entry: *mut c_void, mask: *mut u64) -> c_int;
    fn acl_free(list: *mut c_void) -> c_int;
}

/// What the entries of an access control list allow users that they name. The owner of the file may be among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Nothing: there is no list, or it only denies.
    Nothing,
    /// To read or execute.
    Read,
    /// To change the file or its rights.
    Write,
}

/// Returns what the access control list of an open file or directory allows.
///
/// # Errors
/// If it cannot be read.
pub(super) fn allowed(file: impl AsFd) -> io::Result<Allowed> {
    // SAFETY: the descriptor is open during the call.
    let list = unsafe { acl_get_fd_np(file.as_fd().as_raw_fd(), ACL_TYPE_EXTENDED) };
    if list.is_null() {
        let error = io::Error::last_os_error();
        // ENOENT means that there is no list; the others, that the file system has none.
        return match error.raw_os_error() {
            Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENOTSUP) => Ok(Allowed::Nothing),
            _ => Err(error),
        };
    }
    Ok(AccessList(list).allowed())
}

impl AccessList {
    fn allowed(&self) -> Allowed {
        let (mut allowed, mut which) = (Allowed::Nothing, ACL_FIRST_ENTRY);
        loop {
            let (mut entry, mut tag, mut rights) = (std::ptr::null_mut(), 0, 0);
            // SAFETY: the list is valid until it is dropped, and the entry belongs to it; the other pointers refer to live
            // locals of the right types.
            let is_read = unsafe {
                // Darwin returns 0 for an entry and -1 at the end (acl_get_entry(3)).
                if acl_get_entry(self.0, which, &mut entry) != 0 {
                    return allowed;
                }
                acl_get_tag_type(entry, &mut tag) == 0 && acl_get_permset_mask_np(entry, &mut rights) == 0
            };
            match (is_read, tag == ACL_EXTENDED_ALLOW) {
                (true, false) => {}
                (true, true) if rights & WRITE == 0 => allowed = Allowed::Read,
                (true, true) | (false, _) => return Allowed::Write,
            }
            which = ACL_NEXT_ENTRY;
        }
    }
}

impl Drop for AccessList {
    fn drop(&mut self) {
        // SAFETY: the list was returned by acl_get_fd_np and is not used any more.
        unsafe { acl_free(self.0) };
    }
}
