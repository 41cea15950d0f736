//! A list of all processes of the machine at one moment.
#![allow(unsafe_code, reason = "NtQuerySystemInformation has no safe wrapper")]

use windows_sys::Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemProcessInformation};
use windows_sys::Win32::Foundation::STATUS_INFO_LENGTH_MISMATCH;
use windows_sys::Win32::System::WindowsProgramming::{SYSTEM_PROCESS_INFORMATION, SYSTEM_THREAD_INFORMATION};

/// `ThreadState` and `WaitReason` of a suspended thread (`KTHREAD_STATE` and `KWAIT_REASON` of the kernel).
const WAITING: u32 = 5;
const SUSPENDED: u32 = 5;

/// Offset of the creation time in the part of `SYSTEM_PROCESS_INFORMATION` that is reserved in the public headers.
const CREATION_TIME: usize = 24;

/// The first attempt has room for this many words. A machine with 300 processes needs about 1 MiB.
const EXPECTED_WORDS: usize = 64 << 10;

/// One process in a [`Snapshot`].
pub(super) struct Entry {
    /// Its pid.
    pub(super) pid: u32,
    /// Pid of the process that started it.
    pub(super) parent: u32,
    /// When it was created, in units of 100 ns since 1601.
    pub(super) start: u64,
    /// The file name of its program.
    pub(super) name: String,
    /// Whether all its threads are suspended.
    pub(super) is_suspended: bool,
    /// Whether it has threads: not if it has ended.
    pub(super) has_threads: bool,
}

/// All processes at one moment.
pub(super) struct Snapshot {
    /// Each process.
    pub(super) entries: Vec<Entry>,
}

impl Snapshot {
    /// Asks the system for all processes; none if it does not answer.
    pub(super) fn take() -> Snapshot {
        let mut words = vec![0u64; EXPECTED_WORDS];
        loop {
            let bytes = u32::try_from(size_of_val(&words[..])).unwrap_or(u32::MAX);
            let mut needed = 0;
            let buffer = words.as_mut_ptr().cast();
            // SAFETY: the buffer has the given size.
            let status =
                unsafe { NtQuerySystemInformation(SystemProcessInformation, buffer, bytes, &mut needed) };
            if status == STATUS_INFO_LENGTH_MISMATCH {
                // More processes may start until the next attempt.
                words = vec![0; words.len() * 2];
                continue;
            }
            if status < 0 {
                return Snapshot { entries: Vec::new() };
            }
            // SAFETY: the system has filled the buffer with a chain of entries.
            return Snapshot { entries: unsafe { entries(&words) } };
        }
    }
}

/// Reads the chain of entries in a buffer that NtQuerySystemInformation has filled.
///
/// # Safety
/// The buffer contains such a chain, and its names point into the buffer.
unsafe fn entries(words: &[u64]) -> Vec<Entry> {
    let start = words.as_ptr().cast::<u8>();
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        // SAFETY: the offset is that of an entry in the buffer; the names and threads of an entry are in the buffer too.
        unsafe {
            let at = start.add(offset);
            let process = at.cast::<SYSTEM_PROCESS_INFORMATION>().read_unaligned();
            let threads = at.add(size_of::<SYSTEM_PROCESS_INFORMATION>()).cast::<SYSTEM_THREAD_INFORMATION>();
            let count = process.NumberOfThreads as usize;
            let is_suspended = |index: usize| {
                let thread = threads.add(index).read_unaligned();
                thread.ThreadState == WAITING && thread.WaitReason == SUSPENDED
            };
            let mut creation = [0; 8];
            creation.copy_from_slice(&process.Reserved1[CREATION_TIME..CREATION_TIME + 8]);
            found.push(Entry {
                pid: process.UniqueProcessId.addr() as u32,
                parent: process.Reserved2.addr() as u32,
                start: u64::from_ne_bytes(creation),
                name: match process.ImageName.Buffer {
                    name if name.is_null() => String::new(),
                    name => {
                        let length = usize::from(process.ImageName.Length) / 2;
                        String::from_utf16_lossy(std::slice::from_raw_parts(name, length))
                    }
                },
                is_suspended: count > 0 && (0..count).all(is_suspended),
                has_threads: count > 0,
            });
            if process.NextEntryOffset == 0 {
                return found;
            }
            offset += process.NextEntryOffset as usize;
        }
    }
}
