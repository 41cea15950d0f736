//! The processes of this machine: their status, children, descendants and callers.

use std::collections::HashMap;

use super::file::FileIdentity;
use super::lock::is_locked_exclusively;
use super::open_files::open_files;
use super::{libproc, user};

/// The status of a process (`struct proc_bsdinfo` in `sys/proc_info.h`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name: at most 31 bytes.
    pub name: String,
    /// Pid of the parent.
    pub parent: u32,
    /// Session id (setsid(2)).
    pub session: u32,
    /// Process group (setpgid(2)).
    pub group: u32,
    /// Start time in microseconds since the epoch; 0 if another user owns the process, whose start time is hidden.
    pub start_ticks: u64,
    /// `SIDL`, `SRUN`, `SSLEEP`, `SSTOP` or `SZOMB` of `sys/proc.h`.
    pub(super) status: u32,
    /// `PROC_FLAG_*`.
    pub(super) flags: u32,
    /// Effective user id.
    pub(super) owner: u32,
}

/// `sys/proc.h` and `sys/proc_info.h`.
const SSTOP: u32 = 4;
const SZOMB: u32 = 5;
const PROC_FLAG_INEXIT: u32 = 4;

impl Stat {
    /// Whether a signal or a tracer (ptrace(2)) has stopped it.
    pub fn is_stopped(&self) -> bool {
        self.status == SSTOP
    }

    /// Whether it is exiting. It does not execute user code any more, but may still exist for a while.
    pub fn is_doomed(&self) -> bool {
        self.is_exiting()
    }

    /// Whether it is exiting or has ended. Its files may be closed already.
    pub fn is_exiting(&self) -> bool {
        self.has_ended() || self.flags & PROC_FLAG_INEXIT != 0
    }

    /// Whether it has ended and waits to be reaped.
    pub fn has_ended(&self) -> bool {
        self.status == SZOMB
    }

    fn from_status(pid: u32, status: &libc::proc_bsdinfo) -> Stat {
        let long = name_of(&status.pbi_name);
        Stat {
            name: if long.is_empty() { name_of(&status.pbi_comm) } else { long },
            parent: status.pbi_ppid,
            session: libproc::session(pid),
            group: status.pbi_pgid,
            start_ticks: status
                .pbi_start_tvsec
                .saturating_mul(1_000_000)
                .saturating_add(status.pbi_start_tvusec),
            status: status.pbi_status,
            flags: status.pbi_flags,
            owner: status.pbi_uid,
        }
    }

    fn from_short_status(pid: u32, status: &libc::proc_bsdshortinfo) -> Stat {
        Stat {
            name: name_of(&status.pbsi_comm),
            parent: status.pbsi_ppid,
            session: libproc::session(pid),
            group: status.pbsi_pgid,
            start_ticks: 0,
            status: status.pbsi_status,
            flags: status.pbsi_flags,
            owner: status.pbsi_uid,
        }
    }
}

fn name_of(bytes: &[libc::c_char]) -> String {
    let bytes: Vec<u8> =
        bytes.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads the status of a process; `None` if it does not exist.
pub fn stat(pid: u32) -> Option<Stat> {
    if let Ok(status) = libproc::status(pid) {
        return Some(Stat::from_status(pid, &status));
    }
    libproc::short_status(pid).ok().map(|status| Stat::from_short_status(pid, &status))
}

/// Returns all visible processes.
pub fn all_pids() -> Vec<u32> {
    libproc::all_pids()
}

/// Whether the process belongs to this user.
pub fn is_own_user(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.owner == user::effective_id())
}

/// Returns the children of a process, including ended ones.
pub fn children(pid: u32) -> Vec<u32> {
    children_by_scan().remove(&pid).unwrap_or_default()
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
/// skipped. Zombies are skipped too, because they have ended. An orphan is a child of launchd, so it is not a descendant.
pub fn descendants(root: u32, enter: impl Fn(u32) -> bool) -> Vec<(u32, Stat)> {
    let mut found = Vec::new();
    let mut by_parent = children_by_scan();
    let mut to_visit = by_parent.remove(&root).unwrap_or_default();
    while let Some(pid) = to_visit.pop() {
        let Some(stat) = stat(pid) else { continue };
        if stat.has_ended() || !enter(pid) {
            continue;
        }
        // Removed, so that no process is visited twice if pids are reused meanwhile.
        to_visit.extend(by_parent.remove(&pid).unwrap_or_default());
        found.push((pid, stat));
    }
    found
}

fn children_by_scan() -> HashMap<u32, Vec<u32>> {
    let mut map: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all_pids() {
        if let Ok(status) = libproc::short_status(pid) {
            map.entry(status.pbsi_ppid).or_default().push(pid);
        }
    }
    map
}

/// Whether the process has the pipe with this number open. Always false: macOS identifies pipes by kernel addresses, which
/// it soon uses again for other pipes.
pub fn holds_pipe(_pid: u32, _id: u64) -> bool {
    false
}

/// Whether the process may hold an exclusive lock (flock(2)) on this file: it has the file open, and some process has
/// locked it. macOS does not say which.
pub fn holds_lock(pid: u32, file: FileIdentity) -> bool {
    let Ok(files) = open_files(pid) else { return false };
    files.iter().filter(|open| open.identity() == Some(file)).any(|open| {
        let opened = super::file::open_regular(open.link()).ok().flatten();
        opened.is_some_and(|opened| {
            FileIdentity::of(&opened).is_ok_and(|identity| identity == file)
                && is_locked_exclusively(&opened).unwrap_or(false)
        })
    })
}

/// Whether the process has this file or directory open.
pub(super) fn has_open(pid: u32, file: FileIdentity) -> bool {
    open_files(pid).is_ok_and(|files| files.iter().any(|open| open.identity() == Some(file)))
}
