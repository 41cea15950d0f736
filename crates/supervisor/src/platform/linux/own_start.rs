//! The arguments and the environment of this process, as other processes see them in `/proc`. A forked process replaces
//! them, as a process that executes a program does.
#![allow(unsafe_code, reason = "PR_SET_MM_MAP (prctl(2)), sbrk(2) and environ(7) have no safe wrapper")]

use std::ffi::{CStr, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use super::procfs;

/// The program that this process runs. It stays the same program even if its file is replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// A change of the environment: a variable is set to a value, or removed. Later changes of the same variable win.
pub(super) type Change = (OsString, Option<OsString>);

/// Usual sizes of arguments and environment, so that memory is used once.
const EXPECTED_BYTES: usize = 2 << 10;
const EXPECTED_ENTRIES: usize = 64;

/// `struct prctl_mm_map` of the kernel's `linux/prctl.h`: where the parts of a process are in its memory.
#[derive(Clone, Debug, Default)]
#[repr(C)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

unsafe extern "C" {
    /// environ(7).
    static mut environ: *const *const c_char;
}

/// The memory map of this process. Read it early: reading takes longer than [`OwnStart::replace`].
#[derive(Debug)]
pub(super) struct OwnStart {
    map: MemoryMap,
}

impl OwnStart {
    /// Reads the memory map of this process; `None` if `/proc` is not available.
    pub(super) fn read() -> Option<OwnStart> {
        let mut buffer = [0; 1024];
        let text = procfs::read_short("/proc/self/stat", &mut buffer).ok()?;
        let text = String::from_utf8_lossy(text);
        // The first field after the name is number 3 (proc_pid_stat(5)).
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let map = MemoryMap {
            start_code: field(26)?,
            end_code: field(27)?,
            start_data: field(45)?,
            end_data: field(46)?,
            start_brk: field(47)?,
            start_stack: field(28)?,
            // No other auxiliary vector, and no other program.
            auxv_size: 0,
            exe_fd: u32::MAX,
            ..MemoryMap::default()
        };
        Some(OwnStart { map })
    }

    /// Replaces the arguments of this process in `/proc`, and changes its environment there and for [`mod@std::env`]. The
    /// arguments that [`mod@std::env`] reads stay.
    ///
    /// # Errors
    /// If the kernel was built without `CONFIG_CHECKPOINT_RESTORE`, or a filter of system calls (seccomp(2)) refuses. Then
    /// nothing is changed.
    ///
    /// # Safety
    /// Only while this process has one thread, and no reference to a value of the environment is in use.
    pub(super) unsafe fn replace(&self, arguments: &[&OsStr], changes: &[Change]) -> io::Result<()> {
        // SAFETY: the caller guarantees that nothing changes the environment meanwhile.
        let (block, environment_start, entries) = block(arguments, unsafe { entries() }, changes);
        // Never freed: the kernel and `environ` refer to it as long as this process lives.
        let block: &'static [u8] = block.leak();
        let at = |offset: usize| block[offset..].as_ptr();
        let pointers: Vec<*const c_char> =
            entries.into_iter().map(|offset| at(offset).cast()).chain([ptr::null()]).collect();
        let pointers: &'static [*const c_char] = pointers.leak();
        let map = MemoryMap {
            arg_start: at(0).addr() as u64,
            arg_end: at(environment_start).addr() as u64,
            env_start: at(environment_start).addr() as u64,
            env_end: at(block.len()).addr() as u64,
            ..self.map.clone()
        };
        set_memory_map(map)?;
        // SAFETY: the caller guarantees that nothing else reads or writes it; the array and the strings are never
        // freed and end with null.
        unsafe { environ = pointers.as_ptr() };
        Ok(())
    }
}

/// Returns the entries of the environment, `NAME=value`.
///
/// # Safety
/// Nothing may change the environment while they are in use.
unsafe fn entries() -> impl Iterator<Item = &'static [u8]> {
    // SAFETY: environ(7) is null, or an array of strings that ends with null; the caller guarantees that it stays.
    unsafe {
        let first = environ;
        let at = move |index: usize| {
            (!first.is_null()).then(|| *first.add(index)).filter(|entry| !entry.is_null())
        };
        (0..).map_while(at).map(|entry| CStr::from_ptr(entry).to_bytes())
    }
}

/// Returns the arguments and the changed environment one after the other, each ended by NUL; the offset of the
/// environment; and the offset of each of its entries.
fn block<'a>(
    arguments: &[&OsStr],
    entries: impl Iterator<Item = &'a [u8]>,
    changes: &[Change],
) -> (Vec<u8>, usize, Vec<usize>) {
    let mut block = Vec::with_capacity(EXPECTED_BYTES);
    for argument in arguments {
        block.extend_from_slice(argument.as_bytes());
        block.push(0);
    }
    let environment_start = block.len();
    let mut offsets = Vec::with_capacity(EXPECTED_ENTRIES);
    let name_of = |entry: &'a [u8]| entry.split(|byte| *byte == b'=').next().unwrap_or_default();
    for entry in entries.filter(|entry| changes.iter().all(|(name, _)| name.as_bytes() != name_of(entry))) {
        offsets.push(block.len());
        block.extend_from_slice(entry);
        block.push(0);
    }
    for (index, (name, value)) in changes.iter().enumerate() {
        let is_last = changes[index + 1..].iter().all(|(later, _)| later != name);
        if let Some(value) = value.as_ref().filter(|_| is_last) {
            offsets.push(block.len());
            block.extend_from_slice(name.as_bytes());
            block.push(b'=');
            block.extend_from_slice(value.as_bytes());
            block.push(0);
        }
    }
    block.shrink_to_fit();
    (block, environment_start, offsets)
}

fn set_memory_map(mut map: MemoryMap) -> io::Result<()> {
    fail::fail_point!("own_start", |_| Err(io::ErrorKind::Unsupported.into()));
    // SAFETY: sbrk(0) changes nothing and returns the end of the heap, which cannot move before prctl(2), because this
    // process has one thread. The kernel copies the map during the call, and changes only what /proc shows.
    let result = unsafe {
        map.brk = libc::sbrk(0).addr() as u64;
        libc::prctl(
            libc::PR_SET_MM,
            libc::PR_SET_MM_MAP as libc::c_ulong,
            ptr::from_ref(&map),
            size_of::<MemoryMap>(),
            0 as libc::c_ulong,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Starts this program again in this process, with other arguments and a changed environment. The first argument is its
/// name. Returns only if this fails.
pub(super) fn start_again(arguments: &[&OsStr], changes: &[Change]) -> io::Error {
    let mut words = arguments.iter();
    let mut command = Command::new(THIS_PROGRAM);
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(words).exec()
}

/// Returns these bytes, which another process has taken from an [`OsStr`], as a string again.
pub(super) fn os_string(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_environment_follow_one_another() {
        let set = |name: &str, value: &str| (OsString::from(name), Some(OsString::from(value)));
        let changes = [
            set("A", "1"),
            set("B", ""),
            ("C".into(), None),
            set("A", "b=c\nd"),
            set("D", "x"),
            ("D".into(), None),
        ];
        let entries: [&[u8]; 6] = [b"A=0", b"AA=0", b"C=0", b"=x", b"odd", b"D=0"];
        let (block, start, offsets) =
            block(&[OsStr::new("p"), OsStr::new("")], entries.into_iter(), &changes);
        assert_eq!(&block[..start], b"p\0\0");
        assert_eq!(String::from_utf8_lossy(&block[start..]), "AA=0\0=x\0odd\0B=\0A=b=c\nd\0");
        let begins = offsets.iter().map(|offset| &block[*offset..*offset + 2]);
        assert_eq!(begins.collect::<Vec<_>>(), [b"AA", b"=x", b"od", b"B=", b"A="]);
    }
}
