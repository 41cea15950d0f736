//! The owner and the access control list of an open file.
#![allow(unsafe_code, reason = "access control lists have no safe interface")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_FILE_OBJECT, SetSecurityInfo};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce, GetSecurityDescriptorControl,
    INHERIT_ONLY_ACE, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, PSID,
    SE_DACL_PROTECTED, UNPROTECTED_DACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::System::SystemServices::{
    ACCESS_ALLOWED_ACE_TYPE, ACCESS_ALLOWED_CALLBACK_ACE_TYPE, ACCESS_DENIED_ACE_TYPE,
    ACCESS_DENIED_CALLBACK_ACE_TYPE,
};

use super::errors::from_code;
use super::security::SecurityDescriptor;
use super::sid::Sid;

/// An entry of an access control list that gives rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// Who gets the rights; `None` if the kind of the entry is unknown.
    pub(super) to: Option<Sid>,
    /// The rights ([MS-DTYP] 2.4.3).
    pub(super) rights: u32,
}

/// The owner and the rights of an open file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Security {
    /// The owner.
    pub(super) owner: Sid,
    /// The entries that give rights to the object itself; `None` if every user has all rights.
    pub(super) grants: Option<Vec<Grant>>,
}

impl Security {
    /// Reads them. The handle needs the right `READ_CONTROL`, which all handles for reading have.
    ///
    /// # Errors
    /// If the file system does not answer or has no access control lists.
    pub(super) fn of(file: impl AsHandle) -> io::Result<Security> {
        let wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
        let raw = RawSecurity::of(file, wanted)?;
        if raw.owner.is_null() {
            return Err(io::Error::other("it has no owner"));
        }
        // SAFETY: owner and list point into the descriptor, which `raw` keeps.
        unsafe { Ok(Security { owner: Sid::read(raw.owner), grants: grants(raw.list) }) }
    }
}

/// Gives an open file the access control list of another one. `to` needs the right `WRITE_DAC`. If `from` inherits
/// rights from its directory, `to` inherits those of its own.
///
/// # Errors
/// If the list cannot be read or set.
pub(super) fn copy_access_list(from: impl AsHandle, to: impl AsHandle) -> io::Result<()> {
    let raw = RawSecurity::of(from, DACL_SECURITY_INFORMATION)?;
    let (mut control, mut revision) = (0, 0);
    // SAFETY: the descriptor is valid while `raw` lives.
    unsafe { GetSecurityDescriptorControl(raw.descriptor.as_ptr(), &raw mut control, &raw mut revision) };
    let inherits = match control & SE_DACL_PROTECTED {
        0 => UNPROTECTED_DACL_SECURITY_INFORMATION,
        _ => PROTECTED_DACL_SECURITY_INFORMATION,
    };
    let changed = DACL_SECURITY_INFORMATION | inherits;
    let handle = to.as_handle().as_raw_handle();
    // SAFETY: the handle is open, and the list is valid while `raw` lives.
    let error =
        unsafe { SetSecurityInfo(handle, SE_FILE_OBJECT, changed, null_mut(), null_mut(), raw.list, null()) };
    result(error)
}

/// A descriptor of the system, and the places of its parts.
struct RawSecurity {
    owner: PSID,
    list: *mut ACL,
    descriptor: SecurityDescriptor,
}

impl RawSecurity {
    fn of(file: impl AsHandle, wanted: u32) -> io::Result<RawSecurity> {
        let (mut owner, mut list, mut pointer) = (null_mut(), null_mut(), null_mut());
        let handle = file.as_handle().as_raw_handle();
        // SAFETY: the handle is open, and `pointer` receives memory that `SecurityDescriptor` frees.
        let error = unsafe {
            GetSecurityInfo(
                handle,
                SE_FILE_OBJECT,
                wanted,
                &raw mut owner,
                null_mut(),
                &raw mut list,
                null_mut(),
                &raw mut pointer,
            )
        };
        result(error)?;
        // SAFETY: the call above has allocated the descriptor for us.
        Ok(RawSecurity { owner, list, descriptor: unsafe { SecurityDescriptor::of_system(pointer) } })
    }
}

fn result(error: u32) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(from_code(error)) }
}

/// # Safety
/// The pointer must be null or point to a valid access control list.
unsafe fn grants(list: *const ACL) -> Option<Vec<Grant>> {
    if list.is_null() {
        return None;
    }
    // SAFETY: the caller passes a valid list.
    let count = u32::from(unsafe { (*list).AceCount });
    let mut grants = Vec::new();
    for index in 0..count {
        let mut entry = null_mut();
        // SAFETY: the list is valid, and `index` is smaller than the number of its entries.
        if unsafe { GetAce(list, index, &raw mut entry) } == 0 {
            return None;
        }
        // SAFETY: each entry begins with a header.
        let header = unsafe { *entry.cast::<ACE_HEADER>() };
        let (kind, flags) = (u32::from(header.AceType), u32::from(header.AceFlags));
        if flags & INHERIT_ONLY_ACE != 0
            || kind == ACCESS_DENIED_ACE_TYPE
            || kind == ACCESS_DENIED_CALLBACK_ACE_TYPE
        {
            continue;
        }
        // SAFETY: all kinds of entries have their rights after the header.
        let rights = unsafe { (*entry.cast::<ACCESS_ALLOWED_ACE>()).Mask };
        let is_plain = kind == ACCESS_ALLOWED_ACE_TYPE || kind == ACCESS_ALLOWED_CALLBACK_ACE_TYPE;
        // SAFETY: in entries of these two kinds, a SID begins where the structure says ([MS-DTYP] 2.4.4.2, 2.4.4.6).
        let to = is_plain
            .then(|| unsafe { Sid::read((&raw mut (*entry.cast::<ACCESS_ALLOWED_ACE>()).SidStart).cast()) });
        grants.push(Grant { to, rights });
    }
    Some(grants)
}
