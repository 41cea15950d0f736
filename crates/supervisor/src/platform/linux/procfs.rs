//! Reads `/proc`: process trees and the properties of processes.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::str::SplitAsciiWhitespace;

use super::file::FileIdentity;
use super::user;

/// The fields of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name: at most 15 bytes.
    pub name: String,
    /// State: `R`, `S`, `D`, `T`, `Z`, `X`, …
    pub state: char,
    /// Pid of the parent.
    pub parent: u32,
    /// Session id (setsid(2)).
    pub session: u32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// Kernel flags (`PF_*` in its sources).
    pub flags: u32,
    /// Number of threads. The first thread counts until the process is reaped.
    pub threads: u32,
}

/// `PF_EXITING` and `PF_SIGNALED` of the kernel's `include/linux/sched.h`.
const EXITING: u32 = 0x4;
const SIGNALED: u32 = 0x400;

impl Stat {
    /// Whether a signal or a tracer (ptrace(2)) has stopped it.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Whether it was killed by a signal or is exiting. It does not execute user code any more, but may still exist
    /// for a while.
    pub fn is_doomed(&self) -> bool {
        self.is_exiting() || self.flags & SIGNALED != 0
    }

    /// Whether it is exiting or has ended. Its files may be closed already.
    pub fn is_exiting(&self) -> bool {
        self.has_ended() || self.flags & EXITING != 0
    }

    /// Whether it has ended and waits to be reaped. A process whose first thread has ended while others run also has
    /// the zombie state (pthread_exit(3) in `main`), but has not ended.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X') && self.threads < 2
    }
}

/// Reads the status of a process; `None` if it does not exist.
pub fn stat(pid: u32) -> Option<Stat> {
    let mut buffer = [0; 1024];
    let bytes = read_short(&format!("/proc/{pid}/stat"), &mut buffer).ok()?;
    parse_stat(&String::from_utf8_lossy(bytes))
}

/// Reads a short virtual file in one call. Does not ask for its size, because virtual files do not have one.
///
/// # Errors
/// If it cannot be opened or read.
pub(super) fn read_short<'a>(path: &str, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let count = fs::File::open(path)?.read(buffer)?;
    Ok(&buffer[..count])
}

/// Returns the control groups of this process (`/proc/self/cgroup`, cgroups(7)).
pub(super) fn own_cgroups() -> Option<String> {
    String::from_utf8(read_at_once("/proc/self/cgroup", 4 << 10).ok()?).ok()
}

/// Splits the text of `/proc/PID/stat` into the name and the fields behind it, of which the state is the first.
pub(super) fn name_and_fields(text: &str) -> Option<(&str, SplitAsciiWhitespace<'_>)> {
    // The name is in parentheses and may contain any character, including parentheses.
    let (before, after) = text.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    Some((name, after.split_ascii_whitespace()))
}

fn parse_stat(text: &str) -> Option<Stat> {
    let (name, mut fields) = name_and_fields(text)?;
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let flags = fields.nth(2)?.parse().ok()?;
    let threads = fields.nth(10)?.parse().ok()?;
    let start_ticks = fields.nth(1)?.parse().ok()?;
    Some(Stat { name: name.to_owned(), state, parent, session, start_ticks, flags, threads })
}

/// Returns the children of a process from the kernel's list; `None` if there is no list (`CONFIG_PROC_CHILDREN`).
fn listed_children(pid: u32) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let list = fs::read_to_string(task.ok()?.path().join("children")).ok()?;
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Some(children)
}

/// Returns the children of a process, including ended ones. While one ends, another may be skipped
/// (proc_tid_children(5)).
pub fn children(pid: u32) -> Vec<u32> {
    listed_children(pid).unwrap_or_else(|| children_by_scan().remove(&pid).unwrap_or_default())
}

/// Whether this process descends from `ancestor`.
pub fn descends_from(ancestor: u32) -> bool {
    let mut pid = std::process::id();
    // Bounded, because processes may end and pids may be reused between two reads.
    for _ in 0..64 {
        match stat(pid).map(|stat| stat.parent) {
            Some(parent) if parent == ancestor => return true,
            Some(0) | None => return false,
            Some(parent) => pid = parent,
        }
    }
    false
}

/// Programs that run a command for another program and wait for it, by name.
const RUNNERS: [&str; 8] = ["ash", "bash", "busybox", "dash", "ksh", "sh", "timeout", "zsh"];

/// Returns the pids of the parent of this process and, if the parent is a shell that runs it for another program, of that
/// program and the shells between. The parent is first.
pub fn callers() -> Vec<u32> {
    let mut callers = Vec::new();
    let mut current = stat(std::process::id());
    // Bounded, because processes may end and pids may be reused between two reads.
    while let Some(pid) = current.map(|stat| stat.parent).filter(|pid| *pid > 0 && callers.len() < 16) {
        callers.push(pid);
        current = stat(pid).filter(|stat| RUNNERS.contains(&stat.name.as_str()));
    }
    callers
}

/// Returns all descendants of `root`, without `root`. If `enter` returns false, the process and its descendants are
/// skipped. Zombies are skipped too, because they have ended.
pub fn descendants(root: u32, enter: impl Fn(u32) -> bool) -> Vec<(u32, Stat)> {
    let mut found = Vec::new();
    let (mut to_visit, by_parent) = match listed_children(root) {
        Some(children) => (children, None),
        None => {
            let mut map = children_by_scan();
            (map.remove(&root).unwrap_or_default(), Some(map))
        }
    };
    while let Some(pid) = to_visit.pop() {
        let Some(stat) = stat(pid) else { continue };
        if stat.has_ended() || !enter(pid) {
            continue;
        }
        match &by_parent {
            None => to_visit.extend(listed_children(pid).unwrap_or_default()),
            Some(map) => to_visit.extend(map.get(&pid).into_iter().flatten()),
        }
        found.push((pid, stat));
    }
    found
}

fn children_by_scan() -> HashMap<u32, Vec<u32>> {
    let mut map: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all_pids() {
        if let Some(stat) = stat(pid) {
            map.entry(stat.parent).or_default().push(pid);
        }
    }
    map
}

/// Returns all visible processes.
pub fn all_pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Whether the process belongs to this user.
pub fn is_own_user(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok_and(|metadata| metadata.uid() == user::effective_id())
}

/// Returns the `/proc` directory with the open files and the environment of a process: its own directory or, if its
/// first thread has ended, that of another thread (proc_pid_task(5)).
pub(super) fn live_task(pid: u32) -> String {
    let process = format!("/proc/{pid}");
    let first_has_ended = stat(pid).is_some_and(|stat| matches!(stat.state, 'Z' | 'X') && stat.threads > 1);
    if !first_has_ended {
        return process;
    }
    let tasks = fs::read_dir(format!("{process}/task")).into_iter().flatten();
    let names = tasks.filter_map(|task| task.ok()?.file_name().into_string().ok());
    let other = names
        .filter(|name| *name != pid.to_string())
        .find(|name| fs::read_link(format!("{process}/task/{name}/exe")).is_ok());
    other.map_or(process.clone(), |name| format!("{process}/task/{name}"))
}

/// Whether `/proc` shows the pid namespace of this process. A container may mount the `/proc` of another namespace,
/// in which pids have other meanings.
pub(super) fn shows_own_pid_namespace() -> bool {
    fail::fail_point!("foreign_proc", |_| false);
    let own = fs::read_link("/proc/self").ok();
    own.and_then(|own| own.to_str()?.parse().ok()) == Some(std::process::id())
}

/// Reads a file of `/proc` in as few calls as possible, because each call returns a separate snapshot.
/// `expected_bytes` is the initial size of the buffer.
pub(super) fn read_at_once(path: &str, expected_bytes: usize) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; expected_bytes];
    let mut length = 0;
    loop {
        match file.read(&mut buffer[length..])? {
            0 => break,
            count => length += count,
        }
        if length == buffer.len() {
            buffer.resize(2 * length, 0);
        }
    }
    buffer.truncate(length);
    buffer.shrink_to_fit();
    Ok(buffer)
}

/// Whether the process has the pipe with this inode open.
pub fn holds_pipe(pid: u32, inode: u64) -> bool {
    let wanted = format!("pipe:[{inode}]");
    let Ok(entries) = fs::read_dir(format!("{}/fd", live_task(pid))) else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str().as_bytes() == wanted.as_bytes())
    })
}

/// Whether the process holds an exclusive lock (flock(2)) on this file, according to
/// `lock:` in proc_pid_fdinfo(5).
pub fn holds_lock(pid: u32, file: FileIdentity) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let is_the_file =
        |path: &std::path::Path| FileIdentity::of_path(path).is_ok_and(|identity| identity == file);
    entries.filter_map(Result::ok).filter(|entry| is_the_file(&entry.path())).any(|entry| {
        let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy());
        fs::read_to_string(info).is_ok_and(|text| text.lines().any(|line| is_lock_of(line, pid)))
    })
}

/// Whether a line such as `lock:  1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF` is an exclusive lock of the
/// process.
fn is_lock_of(line: &str, pid: u32) -> bool {
    let Some(lock) = line.strip_prefix("lock:") else { return false };
    let mut words = lock.split_ascii_whitespace().skip(1);
    words.next() == Some("FLOCK")
        && words.nth(1) == Some("WRITE")
        && words.next().and_then(|holder| holder.parse().ok()) == Some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_descends_from_its_parent_and_not_from_itself() {
        let this = std::process::id();
        assert!(descends_from(stat(this).unwrap().parent));
        assert!(!descends_from(this));
    }

    #[test]
    fn name_with_parentheses_is_parsed() {
        let line = "12 (a) b (c)) S 7 12 99 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 8 0 5555 1 2 3";
        let expected = Stat {
            name: "a) b (c)".to_owned(),
            state: 'S',
            parent: 7,
            session: 99,
            start_ticks: 5555,
            flags: 4_194_560,
            threads: 8,
        };
        assert_eq!(parse_stat(line), Some(expected));
    }

    #[test]
    fn kernel_list_and_scan_find_the_same_child() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("sleep starts");
        let me = std::process::id();
        let listed = descendants(me, |_| true).into_iter().any(|(pid, _)| pid == child.id());
        let scanned = children_by_scan().get(&me).is_some_and(|children| children.contains(&child.id()));
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be reaped");
        assert!(listed && scanned);
    }
}
