//! The arguments, the environment and the user of other processes. They are read from the memory of the process, as
//! debuggers do, so this user must be allowed to read it.
#![allow(unsafe_code, reason = "reads the memory of other processes, and splits command lines, by pointers")]

use std::ffi::{OsStr, OsString};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::OwnedHandle;
use std::ptr::null_mut;

use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessCommandLineInformation};
use windows_sys::Win32::Foundation::{HANDLE, LocalFree, UNICODE_STRING};
use windows_sys::Win32::Security::{EqualSid, GetTokenInformation, TOKEN_QUERY, TOKEN_USER, TokenUser};
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Memory::{MEMORY_BASIC_INFORMATION, VirtualQueryEx};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcessToken, PROCESS_QUERY_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_VM_READ,
};
use windows_sys::Win32::UI::Shell::CommandLineToArgvW;

use super::process_list::{basic_information, open};
use super::win32::{check, owned, raw};

/// The longest environment that is read, in bytes. Usual ones have some thousand.
const MAX_ENVIRONMENT_BYTES: usize = 4 << 20;

/// The longest command line, in UTF-16 units (CreateProcessW).
const MAX_COMMAND_LINE: usize = 32_768;

/// The beginning of the process environment block (`PEB`), whose layout is the same in all versions of Windows.
#[repr(C)]
struct EnvironmentBlock {
    flags: [u8; 4],
    mutant: usize,
    image_base: usize,
    loader: usize,
    parameters: usize,
}

/// The beginning of `RTL_USER_PROCESS_PARAMETERS`.
#[repr(C)]
struct ProcessParameters {
    sizes_and_flags: [u32; 4],
    console: usize,
    console_flags: u32,
    standard: [usize; 3],
    directory: UNICODE_STRING,
    directory_handle: usize,
    dll_path: UNICODE_STRING,
    image_path: UNICODE_STRING,
    command_line: UNICODE_STRING,
    environment: usize,
}

/// Whether the process was started with this environment variable (`NAME=value`). Letter case of the name does not count.
pub fn has_environment(pid: u32, variable: &str) -> bool {
    let Some((name, value)) = variable.split_once('=') else { return false };
    self::variable(pid, name).is_some_and(|found| found == value)
}

/// Whether the process was started with an environment variable of this name.
pub fn environment_names(pid: u32, name: &str) -> bool {
    variable(pid, name).is_some()
}

/// Returns the value of an environment variable that the process was started with, or has set itself since.
pub fn variable(pid: u32, name: &str) -> Option<OsString> {
    let name: Vec<u16> = OsStr::new(name).encode_wide().collect();
    let environment = environment(pid)?;
    environment.split(|unit| *unit == 0).find_map(|entry| {
        let (found, value) = entry.split_at_checked(name.len())?;
        let value = value.strip_prefix(&[u16::from(b'=')])?;
        let is_same = found.iter().zip(&name).all(|(a, b)| upper(*a) == upper(*b));
        is_same.then(|| OsString::from_wide(value))
    })
}

/// The names of homing's variables have only ASCII letters.
fn upper(unit: u16) -> u16 {
    u8::try_from(unit).map_or(unit, |byte| u16::from(byte.to_ascii_uppercase()))
}

/// Returns the arguments that the process was started with; nothing if it cannot be opened.
pub fn arguments(pid: u32) -> Vec<OsString> {
    command_line(pid).map(|line| split(&line)).unwrap_or_default()
}

fn command_line(pid: u32) -> Option<Vec<u16>> {
    let queried = open(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok().and_then(|process| query_line(&process));
    queried.or_else(|| {
        let process = open_to_read(pid)?;
        let parameters = parameters(&process)?;
        let line = parameters.command_line;
        let bytes = read(&process, line.Buffer.addr(), usize::from(line.Length))?;
        Some(units(&bytes))
    })
}

/// Asks the system for the command line (Windows 8.1 or later), which needs no right to read the memory.
fn query_line(process: &OwnedHandle) -> Option<Vec<u16>> {
    let header = size_of::<UNICODE_STRING>();
    let mut words = vec![0u64; (header + 2 * MAX_COMMAND_LINE).div_ceil(8)];
    let bytes = u32::try_from(size_of_val(&words[..])).ok()?;
    // SAFETY: the handle is open; the buffer has the given size and the alignment of the structure; the system lets the
    // string point into the buffer.
    unsafe {
        let mut needed = 0;
        let buffer = words.as_mut_ptr();
        let class = ProcessCommandLineInformation;
        if NtQueryInformationProcess(raw(process), class, buffer.cast(), bytes, &mut needed) < 0 {
            return None;
        }
        let line = buffer.cast::<UNICODE_STRING>().read();
        let is_inside = !line.Buffer.is_null()
            && line.Buffer.addr() >= buffer.addr()
            && line.Buffer.addr() + usize::from(line.Length) <= buffer.addr() + bytes as usize;
        is_inside.then(|| std::slice::from_raw_parts(line.Buffer, usize::from(line.Length) / 2).to_vec())
    }
}

/// Splits a command line as programs do.
fn split(line: &[u16]) -> Vec<OsString> {
    // CommandLineToArgvW replaces an empty line by the path of this program.
    if line.iter().all(|unit| *unit == u16::from(b' ') || *unit == 0) {
        return Vec::new();
    }
    let line: Vec<u16> = line.iter().copied().chain([0]).collect();
    let mut count = 0;
    // SAFETY: the line ends with NUL; the call returns an array of `count` strings, each ended by NUL, or null.
    unsafe {
        let words = CommandLineToArgvW(line.as_ptr(), &mut count);
        if words.is_null() {
            return Vec::new();
        }
        let arguments = (0..usize::try_from(count).unwrap_or(0)).map(|index| {
            let word = *words.add(index);
            let length = (0..).take_while(|offset| *word.add(*offset) != 0).count();
            OsString::from_wide(std::slice::from_raw_parts(word, length))
        });
        let arguments = arguments.collect();
        LocalFree(words.cast());
        arguments
    }
}

/// Returns the environment of a process: entries `NAME=value`, each ended by NUL.
fn environment(pid: u32) -> Option<Vec<u16>> {
    let process = open_to_read(pid)?;
    let start = parameters(&process)?.environment;
    // SAFETY: the handle is open; the call fills a live local, of which zeros are a valid value.
    let region = unsafe {
        let mut region: MEMORY_BASIC_INFORMATION = std::mem::zeroed();
        let size = size_of::<MEMORY_BASIC_INFORMATION>();
        let address = std::ptr::without_provenance(start);
        (VirtualQueryEx(raw(&process), address, &mut region, size) == size).then_some(region)?
    };
    let left = (region.BaseAddress.addr() + region.RegionSize).checked_sub(start)?;
    let units = units(&read(&process, start, left.min(MAX_ENVIRONMENT_BYTES))?);
    // It ends with an empty entry.
    let end = units.windows(2).position(|pair| pair == [0, 0]).map_or(units.len(), |end| end + 1);
    Some(units[..end].to_vec())
}

fn open_to_read(pid: u32) -> Option<OwnedHandle> {
    open(pid, PROCESS_QUERY_INFORMATION | PROCESS_VM_READ).ok()
}

fn parameters(process: &OwnedHandle) -> Option<ProcessParameters> {
    let block = basic_information(process)?.PebBaseAddress.addr();
    // SAFETY: any bytes are valid values of both structures: numbers, and pointers that are not followed.
    unsafe {
        let block: EnvironmentBlock = read_value(process, block)?;
        read_value(process, block.parameters)
    }
}

/// Reads a value from the memory of a process.
///
/// # Safety
/// Any bytes are a valid `T`.
unsafe fn read_value<T>(process: &OwnedHandle, address: usize) -> Option<T> {
    let bytes = read(process, address, size_of::<T>())?;
    // SAFETY: there are enough bytes; the caller guarantees that any are valid.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

fn read(process: &OwnedHandle, address: usize, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0u8; length];
    let from = std::ptr::without_provenance(address);
    // SAFETY: the handle is open; the buffer has the given length; the address is one of the other process.
    unsafe {
        let buffer = bytes.as_mut_ptr().cast();
        check(ReadProcessMemory(raw(process), from, buffer, length, null_mut())).ok()?;
    }
    Some(bytes)
}

fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect()
}

/// Whether the process belongs to this user.
pub fn is_own_user(pid: u32) -> bool {
    let Ok(process) = open(pid, PROCESS_QUERY_LIMITED_INFORMATION) else { return false };
    // SAFETY: the pseudo handle of this process is always valid; the other handle is open.
    let users = unsafe { (user_of(raw(&process)), user_of(GetCurrentProcess())) };
    let (Some(other), Some(own)) = users else { return false };
    // SAFETY: both buffers begin with a TOKEN_USER whose id points into the buffer.
    unsafe {
        let sid = |buffer: &[u64]| buffer.as_ptr().cast::<TOKEN_USER>().read().User.Sid;
        EqualSid(sid(&other), sid(&own)) != 0
    }
}

/// Returns a buffer that begins with a `TOKEN_USER`.
///
/// # Safety
/// The handle is open.
unsafe fn user_of(process: HANDLE) -> Option<Vec<u64>> {
    let mut token: HANDLE = null_mut();
    // The largest user id has 68 bytes.
    let mut buffer = vec![0u64; 32];
    let size = u32::try_from(size_of_val(&buffer[..])).ok()?;
    let mut needed = 0;
    // SAFETY: the caller guarantees the handle; the new handle has no other owner; the buffer has the given size.
    unsafe {
        check(OpenProcessToken(process, TOKEN_QUERY, &mut token)).ok()?;
        let token = owned(token).ok()?;
        let to = buffer.as_mut_ptr().cast();
        check(GetTokenInformation(raw(&token), TokenUser, to, size, &mut needed)).ok()?;
    }
    Some(buffer)
}

/// The layout that the reads above rely on, on 64-bit systems.
const _: () = assert!(
    size_of::<usize>() != 8
        || (std::mem::offset_of!(EnvironmentBlock, parameters) == 0x20
            && std::mem::offset_of!(ProcessParameters, command_line) == 0x70
            && std::mem::offset_of!(ProcessParameters, environment) == 0x80)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_split_as_programs_do() {
        let words = |line: &str| split(&OsStr::new(line).encode_wide().collect::<Vec<u16>>());
        assert_eq!(words(r#""a b\c.exe" "x \"y\"" z\\ """#), [r"a b\c.exe", r#"x "y""#, r"z\\", ""]);
        assert!(words("").is_empty());
    }

    #[test]
    fn own_arguments_and_variables_are_found() {
        let this = std::process::id();
        assert_eq!(arguments(this), std::env::args_os().collect::<Vec<_>>());
        let path = std::env::var_os("PATH");
        assert!(path.is_some());
        assert_eq!(variable(this, "path"), path);
        assert_eq!(variable(this, "PAT"), None);
        assert!(is_own_user(this));
    }
}
