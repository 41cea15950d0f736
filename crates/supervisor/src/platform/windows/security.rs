//! Security descriptors that give all rights to this user, to SYSTEM and to Administrators, and none to other users. SYSTEM
//! and Administrators can take every right anyway; backup programs and virus scanners run as SYSTEM.
#![allow(unsafe_code, reason = "security descriptors have no safe interface")]

use std::io;
use std::ptr::null_mut;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};

use super::sid::Sid;

/// A security descriptor that this process has made, or that the system has returned.
#[derive(Debug)]
pub(super) struct SecurityDescriptor {
    pointer: PSECURITY_DESCRIPTOR,
}

// SAFETY: the memory is only read after its creation.
unsafe impl Send for SecurityDescriptor {}
// SAFETY: as above.
unsafe impl Sync for SecurityDescriptor {}

impl SecurityDescriptor {
    /// For files and other objects: this user owns it, nobody else has rights, and it inherits none.
    ///
    /// # Errors
    /// If the system does not report the user of this process.
    pub(super) fn private_file() -> io::Result<&'static SecurityDescriptor> {
        static FILE: OnceLock<SecurityDescriptor> = OnceLock::new();
        cached(&FILE, "FA", "")
    }

    /// For directories: as [`SecurityDescriptor::private_file`], also for what other programs create in it.
    ///
    /// # Errors
    /// As [`SecurityDescriptor::private_file`].
    pub(super) fn private_directory() -> io::Result<&'static SecurityDescriptor> {
        static DIRECTORY: OnceLock<SecurityDescriptor> = OnceLock::new();
        cached(&DIRECTORY, "FA", "OICI")
    }

    /// For pipes, events, job objects and other kernel objects.
    ///
    /// # Errors
    /// As [`SecurityDescriptor::private_file`].
    pub(super) fn private_object() -> io::Result<&'static SecurityDescriptor> {
        static OBJECT: OnceLock<SecurityDescriptor> = OnceLock::new();
        cached(&OBJECT, "GA", "")
    }

    /// Parses the security descriptor definition language (SDDL).
    ///
    /// # Errors
    /// If the text is invalid.
    pub(super) fn parse(text: &str) -> io::Result<SecurityDescriptor> {
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut pointer = null_mut();
        // SAFETY: the text ends with a zero, and `pointer` receives memory that `drop` frees.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut pointer,
                null_mut(),
            )
        };
        if made == 0 { Err(io::Error::last_os_error()) } else { Ok(SecurityDescriptor { pointer }) }
    }

    /// Takes ownership of what the system returned.
    ///
    /// # Safety
    /// The pointer must be null or come from LocalAlloc, and nothing else may free it.
    pub(super) unsafe fn of_system(pointer: PSECURITY_DESCRIPTOR) -> SecurityDescriptor {
        SecurityDescriptor { pointer }
    }

    /// Returns its address, for calls that take a security descriptor.
    pub(super) fn as_ptr(&self) -> PSECURITY_DESCRIPTOR {
        self.pointer
    }

    /// Returns the attributes for a call that creates an object with it. Children do not inherit the handle. The
    /// attributes point to it, so they must not outlive it.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).expect("a small structure"),
            lpSecurityDescriptor: self.pointer,
            bInheritHandle: 0,
        }
    }
}

impl Drop for SecurityDescriptor {
    fn drop(&mut self) {
        // SAFETY: the system has allocated the memory for us, and nothing else frees it.
        unsafe { LocalFree(self.pointer) };
    }
}

fn cached(
    cell: &'static OnceLock<SecurityDescriptor>,
    rights: &str,
    inheritance: &str,
) -> io::Result<&'static SecurityDescriptor> {
    if let Some(descriptor) = cell.get() {
        return Ok(descriptor);
    }
    let user = Sid::of_this_user()?.to_string();
    let entries: String =
        [&user, "SY", "BA"].iter().map(|who| format!("(A;{inheritance};{rights};;;{who})")).collect();
    let made = SecurityDescriptor::parse(&format!("O:{user}D:P{entries}"))?;
    Ok(cell.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_made_once() {
        let file = SecurityDescriptor::private_file().unwrap();
        assert_eq!(SecurityDescriptor::private_file().unwrap().as_ptr(), file.as_ptr());
        let object = SecurityDescriptor::private_object().unwrap().attributes();
        assert!(!object.lpSecurityDescriptor.is_null() && object.bInheritHandle == 0);
        SecurityDescriptor::private_directory().unwrap();
        assert!(SecurityDescriptor::parse("nonsense").is_err());
    }
}
