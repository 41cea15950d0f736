//! Pipes of Windows: pairs of connected ends without a name, and what an end knows about the other.
//!
//! The ends are those of named pipes, because the pipes of CreatePipe cannot be read without blocking a thread. Without a
//! name no other process can open them, so they need no access rights. The standard library makes its pipes in this way
//! too (`library/std/src/sys/process/windows/child_pipe.rs`).
#![allow(unsafe_code, reason = "NtCreateNamedPipeFile, NtOpenFile, NtQueryInformationFile and PeekNamedPipe")]

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_MODE_INFORMATION, FILE_NON_DIRECTORY_FILE, FILE_PIPE_BYTE_STREAM_MODE,
    FILE_PIPE_BYTE_STREAM_TYPE, FILE_PIPE_CONNECTED_STATE, FILE_PIPE_LOCAL_INFORMATION,
    FILE_PIPE_QUEUE_OPERATION, FILE_SYNCHRONOUS_IO_ALERT, FILE_SYNCHRONOUS_IO_NONALERT, FileModeInformation,
    FilePipeLocalInformation, NtOpenFile, NtQueryInformationFile,
};
use windows_sys::Win32::Foundation::{
    GENERIC_READ, GENERIC_WRITE, HANDLE, NTSTATUS, RtlNtStatusToDosError, UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_READ_ATTRIBUTES, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_ATTRIBUTES, ReadFile, SYNCHRONIZE,
    WriteFile,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Pipes::PeekNamedPipe;

use super::win32::check;

/// The file system of pipes.
const PIPES: &str = r"\??\PIPE\";

/// The default timeout of CreateNamedPipeW, 50 ms, as a relative time in units of 100 ns. Nobody waits for the pipe.
const TIMEOUT: i64 = -500_000;

#[link(name = "ntdll")]
unsafe extern "system" {
    /// Not declared by windows-sys. As CreateNamedPipeW calls it.
    fn NtCreateNamedPipeFile(
        handle: *mut HANDLE,
        access: u32,
        attributes: *const OBJECT_ATTRIBUTES,
        status: *mut IO_STATUS_BLOCK,
        share: u32,
        disposition: u32,
        options: u32,
        pipe_type: u32,
        read_mode: u32,
        completion_mode: u32,
        instances: u32,
        inbound_quota: u32,
        outbound_quota: u32,
        timeout: *const i64,
    ) -> NTSTATUS;
}

/// How an end is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// For homing: operations can be pending.
    Overlapped,
    /// For other programs: they expect that reads and writes wait.
    Synchronous,
}

/// Creates a pipe that holds `capacity` bytes, and returns the end that is read and the end that is written. Not both
/// can be synchronous. No end is inherited.
///
/// # Errors
/// If the system has no memory left.
pub(super) fn create(reader: Mode, writer: Mode, capacity: u32) -> io::Result<(OwnedHandle, OwnedHandle)> {
    let (read, write) = (GENERIC_READ | FILE_WRITE_ATTRIBUTES, GENERIC_WRITE | FILE_READ_ATTRIBUTES);
    if reader == Mode::Overlapped {
        let server = create_server(read, FILE_SHARE_WRITE, capacity)?;
        let client = open(&server, write, 0, options(writer) | FILE_NON_DIRECTORY_FILE)?;
        Ok((server, client))
    } else {
        let server = create_server(write, FILE_SHARE_READ, capacity)?;
        let client = open(&server, read, 0, options(reader) | FILE_NON_DIRECTORY_FILE)?;
        Ok((client, server))
    }
}

fn options(mode: Mode) -> u32 {
    match mode {
        Mode::Overlapped => 0,
        Mode::Synchronous => FILE_SYNCHRONOUS_IO_NONALERT,
    }
}

/// Creates the first end of a pipe without a name.
fn create_server(access: u32, share: u32, capacity: u32) -> io::Result<OwnedHandle> {
    let pipes = open_named(PIPES)?;
    let mut handle: HANDLE = std::ptr::null_mut();
    let mut status = IO_STATUS_BLOCK::default();
    let name = UNICODE_STRING::default();
    let attributes = relative_to(pipes.as_handle(), &name);
    // SAFETY: all pointers are to live locals; the attributes point to an open handle and to an empty name.
    let result = unsafe {
        NtCreateNamedPipeFile(
            &mut handle,
            access | SYNCHRONIZE,
            &attributes,
            &mut status,
            share,
            FILE_CREATE,
            options(Mode::Overlapped),
            FILE_PIPE_BYTE_STREAM_TYPE,
            FILE_PIPE_BYTE_STREAM_MODE,
            FILE_PIPE_QUEUE_OPERATION,
            1,
            capacity,
            capacity,
            &TIMEOUT,
        )
    };
    // SAFETY: the handle is new if the call succeeded.
    unsafe { opened(result, handle) }
}

/// Opens the file system of pipes by its name.
fn open_named(name: &str) -> io::Result<OwnedHandle> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let bytes = u16::try_from(size_of_val(&units[..])).map_err(io::Error::other)?;
    let name = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: units.as_mut_ptr() };
    let attributes = OBJECT_ATTRIBUTES { ObjectName: &name, ..attributes() };
    open_with(&attributes, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_SYNCHRONOUS_IO_NONALERT)
}

/// Opens the other end of a pipe.
fn open(server: &OwnedHandle, access: u32, share: u32, options: u32) -> io::Result<OwnedHandle> {
    let name = UNICODE_STRING::default();
    open_with(&relative_to(server.as_handle(), &name), access, share, options)
}

fn open_with(
    attributes: &OBJECT_ATTRIBUTES,
    access: u32,
    share: u32,
    options: u32,
) -> io::Result<OwnedHandle> {
    let mut handle: HANDLE = std::ptr::null_mut();
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: all pointers are to live locals, and those in the attributes live in the callers.
    let result =
        unsafe { NtOpenFile(&mut handle, access | SYNCHRONIZE, attributes, &mut status, share, options) };
    // SAFETY: the handle is new if the call succeeded.
    unsafe { opened(result, handle) }
}

fn attributes() -> OBJECT_ATTRIBUTES {
    let length = u32::try_from(size_of::<OBJECT_ATTRIBUTES>()).unwrap_or_default();
    OBJECT_ATTRIBUTES { Length: length, ..OBJECT_ATTRIBUTES::default() }
}

fn relative_to(directory: BorrowedHandle<'_>, name: &UNICODE_STRING) -> OBJECT_ATTRIBUTES {
    OBJECT_ATTRIBUTES { RootDirectory: directory.as_raw_handle(), ObjectName: name, ..attributes() }
}

/// # Safety
/// The handle is new if the status is one of success.
unsafe fn opened(status: NTSTATUS, handle: HANDLE) -> io::Result<OwnedHandle> {
    succeeded(status)?;
    // SAFETY: the caller guarantees it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn succeeded(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: the call converts a number.
    let error = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(error.cast_signed()))
}

/// Returns how many bytes can be read without waiting.
///
/// # Errors
/// [`io::ErrorKind::BrokenPipe`] if there are none and all writers are closed.
pub(super) fn available(reader: BorrowedHandle<'_>) -> io::Result<usize> {
    let mut available = 0;
    // SAFETY: the handle is open; no buffer is passed, and the count is written to a live local.
    check(unsafe {
        PeekNamedPipe(
            reader.as_raw_handle(),
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
            &mut available,
            std::ptr::null_mut(),
        )
    })?;
    Ok(available as usize)
}

/// Whether the other end is open. If the system does not answer, it counts as open.
pub(super) fn is_connected(end: BorrowedHandle<'_>) -> bool {
    // SAFETY: the class belongs to the type.
    let answer = unsafe { query::<FILE_PIPE_LOCAL_INFORMATION>(end, FilePipeLocalInformation) };
    answer.map_or(true, |pipe| pipe.NamedPipeState == FILE_PIPE_CONNECTED_STATE)
}

/// Whether operations of this handle wait until they are done. If the system does not answer, they do.
pub(super) fn mode_of(end: BorrowedHandle<'_>) -> Mode {
    // SAFETY: the class belongs to the type.
    let answer = unsafe { query::<FILE_MODE_INFORMATION>(end, FileModeInformation) };
    match answer {
        Ok(FILE_MODE_INFORMATION { Mode: mode })
            if mode & (FILE_SYNCHRONOUS_IO_NONALERT | FILE_SYNCHRONOUS_IO_ALERT) == 0 =>
        {
            Mode::Overlapped
        }
        Ok(_) | Err(_) => Mode::Synchronous,
    }
}

/// # Safety
/// The class belongs to the type, and any bytes are a valid value of it.
unsafe fn query<T: Default>(end: BorrowedHandle<'_>, class: i32) -> io::Result<T> {
    let mut answer = T::default();
    let mut status = IO_STATUS_BLOCK::default();
    let size = u32::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let place = (&raw mut answer).cast::<c_void>();
    // SAFETY: the handle is open, and the answer goes to a live local of this size, which the caller guarantees to fit.
    succeeded(unsafe { NtQueryInformationFile(end.as_raw_handle(), &mut status, place, size, class) })?;
    Ok(answer)
}

/// Reads from a synchronous end. Waits until there are bytes.
///
/// # Errors
/// [`io::ErrorKind::BrokenPipe`] if all writers are closed.
pub(super) fn read(reader: BorrowedHandle<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (mut count, limit) = (0, u32::try_from(buffer.len()).unwrap_or(u32::MAX));
    // SAFETY: the handle is open, and its reads are done when the call returns.
    check(unsafe {
        let buffer = buffer.as_mut_ptr();
        ReadFile(reader.as_raw_handle(), buffer, limit, &mut count, std::ptr::null_mut())
    })?;
    Ok(count as usize)
}

/// Writes to a synchronous end. Waits until the bytes are in the pipe.
///
/// # Errors
/// [`io::ErrorKind::BrokenPipe`] if all readers are closed.
pub(super) fn write(writer: BorrowedHandle<'_>, bytes: &[u8]) -> io::Result<usize> {
    let (mut count, limit) = (0, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    // SAFETY: as for `read`.
    check(unsafe {
        WriteFile(writer.as_raw_handle(), bytes.as_ptr(), limit, &mut count, std::ptr::null_mut())
    })?;
    Ok(count as usize)
}
