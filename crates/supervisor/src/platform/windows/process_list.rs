//! All processes of the machine, their parents, and the properties of one process.
#![allow(unsafe_code, reason = "the calls for one process have no safe wrapper")]

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::mem::zeroed;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::OwnedHandle;
use std::path::Path;
use std::ptr::from_mut;

use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, ProcessBasicInformation};
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, FILETIME};
use windows_sys::Win32::System::Threading::{
    GetProcessId, GetProcessTimes, OpenProcess, PROCESS_BASIC_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SYNCHRONIZE, QueryFullProcessImageNameW,
};

use super::errors;
use super::process_snapshot::{Entry, Snapshot};
use super::win32::{check, is_signaled, owned, raw};

/// Programs that run a command for another program and wait for it, by name.
const RUNNERS: [&str; 10] = [
    "bash.exe",
    "busybox.exe",
    "cmd.exe",
    "dash.exe",
    "env.exe",
    "powershell.exe",
    "pwsh.exe",
    "sh.exe",
    "timeout.exe",
    "zsh.exe",
];

/// The properties of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The file name of its program, as `cmd.exe`.
    pub name: String,
    /// Pid of the process that started it. That process may have ended, and another one may have its pid: see
    /// [`descendants`].
    pub parent: u32,
    /// Always 0: Windows has no sessions of processes as Unix has them.
    pub session: u32,
    /// When it was created, in units of 100 ns since 1601 (FILETIME).
    pub start_ticks: u64,
    pid: u32,
    has_ended: bool,
}

impl Stat {
    /// Whether all its threads are suspended. Asks the system now.
    pub fn is_stopped(&self) -> bool {
        let all = Snapshot::take();
        let found = all.entries.iter().find(|entry| entry.pid == self.pid && entry.start == self.start_ticks);
        found.is_some_and(|entry| entry.is_suspended)
    }

    /// Whether it is being ended. Windows does not say this of a process that has not ended yet.
    pub fn is_doomed(&self) -> bool {
        self.has_ended
    }

    /// As [`Stat::is_doomed`].
    pub fn is_exiting(&self) -> bool {
        self.has_ended
    }

    /// Whether it has ended, and exists only because another process has a handle of it.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }
}

/// Opens a process with these rights.
///
/// # Errors
/// [`errors::is_no_such_process`] if there is none with this pid. [`io::ErrorKind::PermissionDenied`] if this user may
/// not do that to it.
pub(super) fn open(pid: u32, rights: u32) -> io::Result<OwnedHandle> {
    // SAFETY: the new handle has no other owner.
    let handle = unsafe { owned(OpenProcess(rights, 0, pid)) };
    let handle = handle.map_err(|error| match error.raw_os_error() {
        Some(code) if code == ERROR_INVALID_PARAMETER.cast_signed() => errors::no_such_process(),
        _ => error,
    })?;
    // OpenProcess ignores the two lowest bits of a pid.
    // SAFETY: the handle is open during the call.
    let found = unsafe { GetProcessId(raw(&handle)) };
    if found == pid || found == 0 { Ok(handle) } else { Err(errors::no_such_process()) }
}

/// Returns when the process was created, in units of 100 ns since 1601.
///
/// # Errors
/// If the handle has no right to ask.
pub(super) fn creation_time(process: &OwnedHandle) -> io::Result<u64> {
    times(process).map(|[creation, ..]| creation)
}

/// Returns when the process was created and when it ended, in units of 100 ns since 1601, and its processor time in the
/// kernel and in user mode, in units of 100 ns.
///
/// # Errors
/// If the handle has no right to ask.
pub(super) fn times(process: &OwnedHandle) -> io::Result<[u64; 4]> {
    // SAFETY: the handle is open and the structures are live locals, of which zeros are valid values.
    let times = unsafe {
        let [mut creation, mut exit, mut kernel, mut user]: [FILETIME; 4] = zeroed();
        check(GetProcessTimes(raw(process), &mut creation, &mut exit, &mut kernel, &mut user))?;
        [creation, exit, kernel, user]
    };
    Ok(times.map(units))
}

/// The number that the two halves of a FILETIME are.
pub(super) fn units(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// Returns the properties of a process; `None` if it does not exist.
pub fn stat(pid: u32) -> Option<Stat> {
    match open(pid, PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE) {
        Ok(process) => stat_of(pid, &process),
        Err(error) if errors::is_no_such_process(&error) => None,
        // The list shows processes that this user may not open, too.
        Err(_) => Snapshot::take().entries.into_iter().find(|entry| entry.pid == pid).map(Entry::into_stat),
    }
}

fn stat_of(pid: u32, process: &OwnedHandle) -> Option<Stat> {
    let start_ticks = creation_time(process).ok()?;
    let has_ended = is_signaled(process);
    let information = basic_information(process)?;
    let name = program_of(process).unwrap_or_default();
    let parent = u32::try_from(information.InheritedFromUniqueProcessId).unwrap_or(0);
    Some(Stat { name, parent, session: 0, start_ticks, pid, has_ended })
}

/// Returns what the system knows about a process, with the address of its environment block.
pub(super) fn basic_information(process: &OwnedHandle) -> Option<PROCESS_BASIC_INFORMATION> {
    // SAFETY: the handle is open; the structure of this class is plain, zeros are valid, and it has the given size.
    unsafe {
        let mut information: PROCESS_BASIC_INFORMATION = zeroed();
        let size = u32::try_from(size_of::<PROCESS_BASIC_INFORMATION>()).ok()?;
        let buffer = from_mut(&mut information).cast();
        let status = NtQueryInformationProcess(
            raw(process),
            ProcessBasicInformation,
            buffer,
            size,
            std::ptr::null_mut(),
        );
        (status >= 0).then_some(information)
    }
}

/// Returns the file name of the program of a process.
fn program_of(process: &OwnedHandle) -> Option<String> {
    // The longest path that the system supports has 32,767 characters.
    let mut path = vec![0u16; 512];
    loop {
        let mut length = u32::try_from(path.len()).ok()?;
        // SAFETY: the handle is open; the buffer has the given length.
        let found = unsafe { QueryFullProcessImageNameW(raw(process), 0, path.as_mut_ptr(), &mut length) };
        if found != 0 {
            let path = OsString::from_wide(&path[..length as usize]);
            return Some(Path::new(&path).file_name()?.to_string_lossy().into_owned());
        }
        if path.len() > 0x8000 {
            return None;
        }
        path = vec![0; path.len() * 4];
    }
}

impl Entry {
    fn into_stat(self) -> Stat {
        Stat {
            name: self.name,
            parent: self.parent,
            session: 0,
            start_ticks: self.start,
            pid: self.pid,
            // Processes of the system show their threads to everyone.
            has_ended: !self.has_threads,
        }
    }
}

/// Returns all processes.
pub fn all_pids() -> Vec<u32> {
    // The idle process has the pid 0 and is not a process that can be opened.
    Snapshot::take().entries.into_iter().map(|entry| entry.pid).filter(|pid| *pid != 0).collect()
}

/// Returns the children of a process. A process that has its pid as parent counts only if it was created later: the
/// system reuses the pids of processes that have ended.
pub fn children(pid: u32) -> Vec<u32> {
    let all = Snapshot::take().entries;
    let Some(start) = all.iter().find(|entry| entry.pid == pid).map(|entry| entry.start) else {
        return Vec::new();
    };
    let is_child = |entry: &&Entry| entry.parent == pid && entry.pid != pid && entry.start >= start;
    all.iter().filter(is_child).map(|entry| entry.pid).collect()
}

/// Returns all descendants of `root`, without `root`. If `enter` returns false, the process and its descendants are
/// skipped. A descendant whose parent has ended is not found, because Windows does not give orphans another parent.
pub fn descendants(root: u32, enter: impl Fn(u32) -> bool) -> Vec<(u32, Stat)> {
    let mut by_parent: HashMap<u32, Vec<Entry>> = HashMap::new();
    let mut found = Vec::new();
    let mut to_visit = Vec::new();
    for entry in Snapshot::take().entries {
        if entry.pid == root {
            to_visit.push((root, entry.start));
        } else {
            by_parent.entry(entry.parent).or_default().push(entry);
        }
    }
    while let Some((pid, start)) = to_visit.pop() {
        let children = by_parent.remove(&pid).into_iter().flatten();
        for child in children.filter(|child| child.start >= start && enter(child.pid)) {
            to_visit.push((child.pid, child.start));
            found.push((child.pid, child.into_stat()));
        }
    }
    found
}

/// Whether this process descends from `ancestor`.
pub fn descends_from(ancestor: u32) -> bool {
    ancestors().any(|pid| pid == ancestor)
}

/// Returns the pids of the parent of this process and, if the parent is a shell that runs it for another program, of that
/// program and the shells between. The parent is first.
pub fn callers() -> Vec<u32> {
    let mut callers = Vec::new();
    for pid in ancestors() {
        callers.push(pid);
        if !stat(pid).is_some_and(|stat| RUNNERS.contains(&stat.name.to_ascii_lowercase().as_str())) {
            break;
        }
    }
    callers
}

/// Returns the parent of this process, its parent, and so on, as long as they have not ended.
fn ancestors() -> impl Iterator<Item = u32> {
    let all: HashMap<u32, Entry> =
        Snapshot::take().entries.into_iter().map(|entry| (entry.pid, entry)).collect();
    let mut current = std::process::id();
    // Bounded, because reused pids could form a circle.
    (0..64).map_while(move |_| {
        let child = all.get(&current)?;
        let parent =
            all.get(&child.parent).filter(|parent| parent.pid != 0 && parent.start <= child.start)?;
        current = parent.pid;
        Some(current)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_and_a_process_is_not_its_own_ancestor() {
        let this = std::process::id();
        let mut child = std::process::Command::new("cmd.exe")
            .args(["/d", "/c", "pause"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("cmd.exe starts");
        assert!(children(this).contains(&child.id()));
        assert!(descendants(this, |_| true).iter().any(|(pid, _)| *pid == child.id()));
        assert!(!descendants(this, |_| false).iter().any(|(pid, _)| *pid == child.id()));
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child ends");
        assert!(!descends_from(this) && !descends_from(child.id()));
        // The parent of this process may have ended.
        let parent = stat(this).map(|stat| stat.parent).filter(|parent| stat(*parent).is_some());
        assert_eq!(callers().first().copied(), parent);
    }

    #[test]
    fn list_and_single_process_agree() {
        let this = std::process::id();
        let listed = Snapshot::take().entries.into_iter().find(|entry| entry.pid == this).unwrap();
        assert_eq!(Some(listed.into_stat()), stat(this));
        assert!(all_pids().contains(&this));
        assert_eq!(stat(this + 1), None, "the lowest bits of a pid count");
    }
}
