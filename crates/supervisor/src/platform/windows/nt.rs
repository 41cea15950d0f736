//! Opens, renames and removes files through the native interface of NT, which can open a file relative to an open
//! directory (NtCreateFile). Translates its errors.
#![allow(unsafe_code, reason = "the native interface has no safe wrapper")]

use std::io;
use std::mem::offset_of;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DIRECTORY_FILE, FILE_INFORMATION_CLASS, FILE_NON_DIRECTORY_FILE, FILE_OPEN,
    FILE_OPEN_IF, FILE_OPEN_REPARSE_POINT, FILE_RENAME_INFORMATION, FILE_RENAME_INFORMATION_0,
    FILE_SYNCHRONOUS_IO_NONALERT, FS_INFORMATION_CLASS, NTCREATEFILE_CREATE_DISPOSITION, NtCreateFile,
    NtQueryVolumeInformationFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{
    NTSTATUS, OBJ_CASE_INSENSITIVE, RtlNtStatusToDosError, STATUS_DELETE_PENDING, STATUS_FILE_IS_A_DIRECTORY,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_INFO_CLASS, STATUS_INVALID_PARAMETER,
    STATUS_NOT_IMPLEMENTED, STATUS_NOT_SUPPORTED, STATUS_OBJECT_NAME_COLLISION, UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_NORMAL, FILE_INFO_BY_HANDLE_CLASS, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
    GetFileInformationByHandleEx, SYNCHRONIZE,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

use super::entry_kind::not_regular;
use super::errors;
use super::file_name::FileName;
use super::security::SecurityDescriptor;

#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "system" {
    /// The status behind the last error of this thread. windows-sys does not have it.
    safe fn RtlGetLastNtStatus() -> NTSTATUS;
}

/// Other handles may read, write, rename and remove a file that is open.
pub(super) const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// What may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything, also a link.
    Any,
    /// Everything except directories.
    NotDirectory,
    /// A directory.
    Directory,
}

/// How an entry of an open directory is opened. Never follows a link: opens the link itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// The rights of the handle.
    pub(super) access: u32,
    /// What other handles may do.
    pub(super) share: u32,
    /// What may be opened.
    pub(super) kind: Kind,
}

impl Open {
    /// Opens an existing entry that others may use too.
    pub(super) fn existing(kind: Kind, access: u32) -> Open {
        Open { access, share: SHARE_ALL, kind }
    }

    /// Opens an entry of a directory.
    ///
    /// # Errors
    /// If it is missing or cannot be opened.
    pub(super) fn at(self, directory: impl AsHandle, name: &FileName) -> io::Result<OwnedHandle> {
        self.call(directory.as_handle(), name.units(), FILE_OPEN, None).map_err(error_of)
    }

    /// Opens what an open handle names again, whatever its name is now.
    ///
    /// # Errors
    /// If it was removed or cannot be opened.
    pub(super) fn again(self, handle: impl AsHandle) -> io::Result<OwnedHandle> {
        self.call(handle.as_handle(), &[], FILE_OPEN, None).map_err(error_of)
    }

    /// Creates an entry that no other user can use.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name exists, or belongs to a file that is removed but open.
    pub(super) fn create(self, directory: impl AsHandle, name: &FileName) -> io::Result<OwnedHandle> {
        let created = self.call(directory.as_handle(), name.units(), FILE_CREATE, Some(self.private()?));
        created.map_err(|status| match status {
            STATUS_DELETE_PENDING => error_of(STATUS_OBJECT_NAME_COLLISION),
            status => error_of(status),
        })
    }

    /// Opens an entry, or creates it so that no other user can use it.
    ///
    /// # Errors
    /// If it cannot be opened or created.
    pub(super) fn or_create(self, directory: impl AsHandle, name: &FileName) -> io::Result<OwnedHandle> {
        self.call(directory.as_handle(), name.units(), FILE_OPEN_IF, Some(self.private()?)).map_err(error_of)
    }

    fn private(self) -> io::Result<&'static SecurityDescriptor> {
        match self.kind {
            Kind::Directory => SecurityDescriptor::private_directory(),
            Kind::Any | Kind::NotDirectory => SecurityDescriptor::private_file(),
        }
    }

    fn call(
        self,
        root: BorrowedHandle<'_>,
        name: &[u16],
        disposition: NTCREATEFILE_CREATE_DISPOSITION,
        descriptor: Option<&SecurityDescriptor>,
    ) -> Result<OwnedHandle, NTSTATUS> {
        let bytes = u16::try_from(size_of_val(name)).map_err(|_| STATUS_INVALID_PARAMETER)?;
        let name = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_ptr().cast_mut() };
        let attributes = OBJECT_ATTRIBUTES {
            Length: u32::try_from(size_of::<OBJECT_ATTRIBUTES>()).expect("a small structure"),
            RootDirectory: root.as_raw_handle(),
            ObjectName: &raw const name,
            Attributes: OBJ_CASE_INSENSITIVE,
            SecurityDescriptor: descriptor
                .map_or(null(), |descriptor| descriptor.as_ptr().cast_const().cast()),
            SecurityQualityOfService: null(),
        };
        let kind = match self.kind {
            Kind::Any => 0,
            Kind::NotDirectory => FILE_NON_DIRECTORY_FILE,
            Kind::Directory => FILE_DIRECTORY_FILE,
        };
        let (mut handle, mut result) = (null_mut(), IO_STATUS_BLOCK::default());
        // SAFETY: name, attributes and descriptor live during the call, and it does not write to them. `handle` receives
        // a new handle.
        let status = unsafe {
            NtCreateFile(
                &raw mut handle,
                self.access | SYNCHRONIZE,
                &raw const attributes,
                &raw mut result,
                null(),
                FILE_ATTRIBUTE_NORMAL,
                self.share,
                disposition,
                FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_REPARSE_POINT | kind,
                null(),
                0,
            )
        };
        if status < 0 {
            return Err(status);
        }
        // SAFETY: the call returned a handle that nothing else owns.
        Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
    }
}

/// Converts a status into an error whose kind is the one that Linux reports.
pub(super) fn error_of(status: NTSTATUS) -> io::Error {
    match status {
        // The name exists until the last handle is closed, but nobody can open it any more.
        STATUS_DELETE_PENDING => errors::not_found(),
        STATUS_FILE_IS_A_DIRECTORY => not_regular(),
        // SAFETY: the function only looks the number up.
        status => errors::from_code(unsafe { RtlNtStatusToDosError(status) }),
    }
}

/// Converts the error of a call of the standard library that has just opened a path in this thread: a file that is removed
/// but still open elsewhere counts as missing.
pub(super) fn of_path(error: io::Error) -> io::Error {
    if errors::is_access_denied(&error) && RtlGetLastNtStatus() == STATUS_DELETE_PENDING {
        return errors::not_found();
    }
    error
}

/// Whether a file system does not know a kind of information, as opposed to having refused the change.
fn is_unsupported(status: NTSTATUS) -> bool {
    const UNSUPPORTED: [NTSTATUS; 5] = [
        STATUS_INVALID_DEVICE_REQUEST,
        STATUS_INVALID_INFO_CLASS,
        STATUS_INVALID_PARAMETER,
        STATUS_NOT_IMPLEMENTED,
        STATUS_NOT_SUPPORTED,
    ];
    UNSUPPORTED.contains(&status)
}

/// Changes a property of an open file; `Ok(false)` if the file system does not support it.
///
/// # Errors
/// If the file system refuses.
pub(super) fn try_set<T>(file: impl AsHandle, class: FILE_INFORMATION_CLASS, value: &T) -> io::Result<bool> {
    // SAFETY: `value` is a structure of this size.
    unsafe { try_set_bytes(file, class, (&raw const *value).cast(), size_of::<T>()) }
}

/// # Safety
/// `value` must point to `size` bytes with the structure of `class`.
unsafe fn try_set_bytes(
    file: impl AsHandle,
    class: FILE_INFORMATION_CLASS,
    value: *const core::ffi::c_void,
    size: usize,
) -> io::Result<bool> {
    let mut result = IO_STATUS_BLOCK::default();
    let size = u32::try_from(size).map_err(io::Error::other)?;
    // SAFETY: the handle is open, and the caller passes a buffer of this size.
    let status = unsafe {
        NtSetInformationFile(file.as_handle().as_raw_handle(), &raw mut result, value, size, class)
    };
    match status {
        0.. => Ok(true),
        status if is_unsupported(status) => Ok(false),
        status => Err(error_of(status)),
    }
}

/// Renames an open file to a name in an open directory; `Ok(false)` if the file system does not support `class`, which is
/// one of the two classes for renaming.
///
/// # Errors
/// If the file system refuses.
pub(super) fn try_rename(
    file: impl AsHandle,
    class: FILE_INFORMATION_CLASS,
    how: FILE_RENAME_INFORMATION_0,
    to: impl AsHandle,
    name: &FileName,
) -> io::Result<bool> {
    let units = name.units();
    let start = offset_of!(FILE_RENAME_INFORMATION, FileName);
    let size = (start + size_of_val(units)).max(size_of::<FILE_RENAME_INFORMATION>());
    let mut buffer = vec![0u64; size.div_ceil(8)];
    let information = FILE_RENAME_INFORMATION {
        Anonymous: how,
        RootDirectory: to.as_handle().as_raw_handle(),
        FileNameLength: u32::try_from(size_of_val(units)).map_err(io::Error::other)?,
        FileName: [0],
    };
    // SAFETY: the buffer is aligned and long enough for the structure and the name that follows it.
    unsafe {
        buffer.as_mut_ptr().cast::<FILE_RENAME_INFORMATION>().write(information);
        let place = buffer.as_mut_ptr().cast::<u8>().add(start);
        place.copy_from_nonoverlapping(units.as_ptr().cast(), size_of_val(units));
        try_set_bytes(file, class, buffer.as_ptr().cast(), size)
    }
}

/// Reads a property of an open file.
///
/// # Errors
/// If the file system does not support it.
pub(super) fn query<T: Default>(file: impl AsHandle, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    let mut value = T::default();
    let size = u32::try_from(size_of::<T>()).expect("a small structure");
    let handle = file.as_handle().as_raw_handle();
    // SAFETY: the handle is open, and the system writes at most `size` bytes of plain numbers.
    match unsafe { GetFileInformationByHandleEx(handle, class, (&raw mut value).cast(), size) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(value),
    }
}

/// Reads a property of the file system that an open file is on.
///
/// # Errors
/// If the file system does not support it.
pub(super) fn query_volume<T: Default>(file: impl AsHandle, class: FS_INFORMATION_CLASS) -> io::Result<T> {
    let (mut value, mut result) = (T::default(), IO_STATUS_BLOCK::default());
    let size = u32::try_from(size_of::<T>()).expect("a small structure");
    let handle = file.as_handle().as_raw_handle();
    // SAFETY: the handle is open, and the system writes at most `size` bytes of plain numbers.
    let status = unsafe {
        NtQueryVolumeInformationFile(handle, &raw mut result, (&raw mut value).cast(), size, class)
    };
    if status < 0 { Err(error_of(status)) } else { Ok(value) }
}
