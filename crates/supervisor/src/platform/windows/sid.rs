//! Security identifiers (SIDs) and the token of this process.
#![allow(unsafe_code, reason = "tokens and security identifiers have no safe interface")]

use std::fmt;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use windows_sys::Win32::Security::{
    GetLengthSid, GetTokenInformation, LookupAccountSidW, PSID, TOKEN_ELEVATION, TOKEN_INFORMATION_CLASS,
    TOKEN_QUERY, TOKEN_USER, TokenElevation, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Size of the longest SID with its token structure, in bytes: 15 parts of 4 bytes after 8 bytes, after 16 bytes.
const MAX_TOKEN_USER: usize = 128;

/// Identifies a user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sid {
    authority: u64,
    parts: Vec<u32>,
}

impl Sid {
    /// The SID of the user of this process.
    ///
    /// # Errors
    /// If the system does not report it.
    pub(super) fn of_this_user() -> io::Result<&'static Sid> {
        static USER: OnceLock<Sid> = OnceLock::new();
        if let Some(user) = USER.get() {
            return Ok(user);
        }
        let mut buffer = [0u64; MAX_TOKEN_USER / 8];
        query_token(TokenUser, buffer.as_mut_ptr().cast(), size_of_val(&buffer))?;
        // SAFETY: the call has filled the aligned buffer with a TOKEN_USER, whose SID is in the same buffer.
        let user = unsafe { Sid::read((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid) };
        Ok(USER.get_or_init(|| user))
    }

    /// Parses the text form; `None` if it is invalid.
    #[cfg(test)]
    pub(super) fn parse(text: &str) -> Option<Sid> {
        let mut numbers = text.strip_prefix("S-1-")?.split('-');
        let authority = numbers.next()?.parse().ok()?;
        Some(Sid { authority, parts: numbers.map(|part| part.parse().ok()).collect::<Option<_>>()? })
    }

    /// Whether it stands for the system itself: SYSTEM, Administrators or TrustedInstaller.
    pub(super) fn is_of_system(&self) -> bool {
        /// `S-1-5-80-…`, the service that owns the files of Windows.
        const TRUSTED_INSTALLER: [u32; 6] =
            [80, 956_008_885, 3_418_522_649, 1_831_038_044, 1_853_292_631, 2_271_478_464];
        self.authority == 5
            && (self.parts == [18] || self.parts == [32, 544] || self.parts == TRUSTED_INSTALLER)
    }

    /// Whether it stands for the owner of the object: CREATOR OWNER (in what is inherited) and OWNER RIGHTS.
    pub(super) fn is_owner_alias(&self) -> bool {
        self.authority == 3 && (self.parts == [0] || self.parts == [4])
    }

    /// The last part, which is unique among the users of one machine or domain.
    pub(super) fn last_part(&self) -> u32 {
        self.parts.last().copied().unwrap_or(0)
    }

    /// Returns the name of the account, in the language of the system; the SID itself if it has none.
    pub(super) fn account(&self) -> String {
        let mut bytes = vec![1, u8::try_from(self.parts.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        bytes.extend(self.parts.iter().flat_map(|part| part.to_le_bytes()));
        let (mut name, mut domain, mut kind) = ([0u16; 256], [0u16; 256], 0);
        let (mut name_length, mut domain_length) = (256, 256);
        // SAFETY: the SID is valid, and both buffers have the lengths that are passed.
        let found = unsafe {
            LookupAccountSidW(
                null(),
                bytes.as_mut_ptr().cast(),
                name.as_mut_ptr(),
                &raw mut name_length,
                domain.as_mut_ptr(),
                &raw mut domain_length,
                &raw mut kind,
            )
        };
        let name = name.get(..name_length as usize).filter(|name| found != 0 && !name.is_empty());
        name.map_or_else(|| self.to_string(), String::from_utf16_lossy)
    }

    /// # Safety
    /// The pointer must point to a valid SID.
    pub(super) unsafe fn read(sid: PSID) -> Sid {
        // SAFETY: the caller passes a valid SID; its length is what the system reports.
        let bytes = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), GetLengthSid(sid) as usize) };
        // [MS-DTYP] 2.4.2.2: revision, number of parts, 6 bytes authority (big endian), parts (little endian).
        let authority = bytes[2..8].iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let parts =
            bytes[8..].chunks_exact(4).map(|part| u32::from_le_bytes(part.try_into().expect("4 bytes")));
        Sid { authority, parts: parts.collect() }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S-1-{}", self.authority)?;
        self.parts.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

/// Whether this process runs elevated, with the rights of an administrator.
pub(super) fn is_elevated() -> bool {
    let mut elevation = TOKEN_ELEVATION::default();
    query_token(TokenElevation, (&raw mut elevation).cast(), size_of::<TOKEN_ELEVATION>()).is_ok()
        && elevation.TokenIsElevated != 0
}

fn query_token(
    class: TOKEN_INFORMATION_CLASS,
    buffer: *mut core::ffi::c_void,
    size: usize,
) -> io::Result<()> {
    let mut token = null_mut();
    // SAFETY: the handle of this process is always valid, and `token` receives a new handle.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above returned a handle that nothing else owns.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let (size, mut needed) = (u32::try_from(size).expect("a small buffer"), 0);
    // SAFETY: the callers pass a buffer of `size` bytes, and the token is open.
    match unsafe { GetTokenInformation(token.as_raw_handle(), class, buffer, size, &raw mut needed) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_has_a_sid() {
        let user = Sid::of_this_user().unwrap();
        assert!(user.to_string().starts_with("S-1-5-"), "{user}");
        assert!(!user.is_owner_alias() && !user.account().is_empty());
    }

    #[test]
    fn accounts_of_the_system_are_recognised() {
        let sid = |authority, parts: &[u32]| Sid { authority, parts: parts.to_vec() };
        assert!(sid(5, &[18]).is_of_system() && sid(5, &[32, 544]).is_of_system());
        assert!(!sid(5, &[32, 545]).is_of_system() && !sid(1, &[0]).is_of_system());
        assert!(sid(3, &[0]).is_owner_alias() && !sid(3, &[1]).is_owner_alias());
        assert_eq!(sid(5, &[32, 544]).to_string(), "S-1-5-32-544");
        assert_eq!(sid(5, &[21, 1, 2, 3, 4]).account(), "S-1-5-21-1-2-3-4");
        assert_eq!(sid(5, &[21, 1, 2, 3, 1001]).last_part(), 1001);
    }
}
