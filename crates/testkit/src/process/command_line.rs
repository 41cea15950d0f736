//! Reads the command line of another process from its memory. Windows 8.1 and later answer a query for it, which
//! `sysinfo` uses; Wine leaves the answer empty.
#![allow(unsafe_code, reason = "the memory of another process is read through system calls")]

use std::ffi::c_void;
use std::mem::{size_of, size_of_val, zeroed};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessBasicInformation};
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Threading::{
    OpenProcess, PEB, PROCESS_BASIC_INFORMATION, PROCESS_QUERY_INFORMATION, PROCESS_VM_READ,
    RTL_USER_PROCESS_PARAMETERS,
};

/// The command line of a process; `None` if it has ended or cannot be read.
pub(super) fn command_line(pid: u32) -> Option<String> {
    // SAFETY: the call takes no pointers. The handle is not null, and nobody else owns it.
    let process = unsafe {
        let handle = OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, 0, pid);
        if handle.is_null() {
            return None;
        }
        OwnedHandle::from_raw_handle(handle)
    };
    // SAFETY: the structure may be all zeros, and the call writes at most its size.
    let basic = unsafe {
        let mut basic: PROCESS_BASIC_INFORMATION = zeroed();
        let size = u32::try_from(size_of::<PROCESS_BASIC_INFORMATION>()).ok()?;
        let status = NtQueryInformationProcess(
            process.as_raw_handle(),
            ProcessBasicInformation,
            (&raw mut basic).cast(),
            size,
            std::ptr::null_mut(),
        );
        if status != 0 {
            return None;
        }
        basic
    };
    // SAFETY: both structures may be all zeros or any other bytes.
    let parameters = unsafe {
        let mut block: PEB = zeroed();
        read(&process, basic.PebBaseAddress.cast(), std::slice::from_mut(&mut block))?;
        let mut parameters: RTL_USER_PROCESS_PARAMETERS = zeroed();
        read(&process, block.ProcessParameters.cast(), std::slice::from_mut(&mut parameters))?;
        parameters
    };
    let mut text = vec![0_u16; usize::from(parameters.CommandLine.Length) / 2];
    // SAFETY: numbers may be any bytes.
    unsafe { read(&process, parameters.CommandLine.Buffer.cast(), &mut text) }?;
    Some(String::from_utf16_lossy(&text))
}

/// Reads values from the memory of a process; `None` if they cannot be read completely.
///
/// # Safety
/// Any bytes must be valid values.
unsafe fn read<T>(process: &OwnedHandle, from: *const c_void, to: &mut [T]) -> Option<()> {
    let size = size_of_val(to);
    let mut count = 0;
    // SAFETY: the call writes at most `size` bytes to `to`. It checks the address in the other process.
    let done = unsafe {
        ReadProcessMemory(process.as_raw_handle(), from, to.as_mut_ptr().cast(), size, &raw mut count)
    };
    (done != 0 && count == size).then_some(())
}
