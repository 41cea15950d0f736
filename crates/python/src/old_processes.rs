//! The processes of a job that the old `bg_jobs` module launched. A pid alone never identifies a process.
//!
//! The old module starts a wrapper in a session of its own, which runs the command and then writes its exit code: `bash
//! …/ID.sh` with the child `bash …/ID.cmd.sh`, which may survive it; on Windows without bash, `cmd.exe /c …\ID.cmd`, which
//! calls `…\ID.child.cmd` itself.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::time::Duration;

use homing::WaitSource;
use homing_supervisor::platform::clock::uptime;
use homing_supervisor::platform::process::{
    self, ProcessHandle, ProcessIdentity, Signal, Stat, all_pids, descendants, stat,
};
use homing_supervisor::platform::wait::AsWaitSource;
use pyo3::prelude::*;

use crate::errors::Result;
use crate::interruption::wait_for;

/// Time between a request to end and the kill.
const GRACE: Duration = Duration::from_secs(5);

/// Time that processes have to exit after the kill. They may hang in the kernel.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two checks of processes that cannot be waited for, because they belong to another user.
const FALLBACK_PAUSE: Duration = Duration::from_millis(100);

/// Whether the process that will record the end of the job is alive.
#[pyfunction]
pub(crate) fn bg_is_supervised(py: Python<'_>, id: &str, leader: u32) -> bool {
    py.detach(|| OldJob { id, leader }.is_supervised())
}

/// Whether a process of the job is alive.
#[pyfunction]
pub(crate) fn bg_has_processes(py: Python<'_>, id: &str, leader: u32) -> bool {
    py.detach(|| !OldJob { id, leader }.processes().is_empty())
}

/// Ends the live processes of a job: asks them to end, and kills them after the grace period. Returns whether all of them
/// are gone. A signal handler that raises ends the wait.
#[pyfunction]
pub(crate) fn bg_end_processes(py: Python<'_>, id: &str, leader: u32) -> Result<bool> {
    let job = OldJob { id, leader };
    let mut left = py.detach(|| job.processes());
    for process in &left {
        // Fails only if it has ended, or belongs to another user. A stopped process handles the request when it continues.
        let _ = process.signal(Signal::Terminate);
        let _ = process.signal(Signal::Continue);
    }
    let kill_at = uptime() + GRACE;
    let give_up_at = kill_at + KILL_TIMEOUT;
    while !left.is_empty() {
        let now = uptime();
        if now >= give_up_at {
            return Ok(false);
        }
        let next = if now < kill_at { kill_at } else { give_up_at };
        if now >= kill_at {
            for process in &left {
                let _ = process.signal(Signal::Kill);
            }
        }
        let handles: Vec<ProcessHandle> = left.iter().filter_map(|process| process.open().ok()).collect();
        let mut timeout = next - now;
        if handles.len() < left.len() {
            timeout = timeout.min(FALLBACK_PAUSE);
        }
        let sources: Vec<WaitSource<'_>> = handles.iter().map(AsWaitSource::as_wait_source).collect();
        wait_for(py, &sources, Some(timeout))?;
        left = py.detach(|| job.remaining(&left));
    }
    Ok(true)
}

/// A job of the old module.
#[derive(Clone, Copy)]
struct OldJob<'a> {
    id: &'a str,
    /// Pid of the wrapper, and id of its session where the system has sessions.
    leader: u32,
}

impl OldJob<'_> {
    fn is_supervised(self) -> bool {
        let is_alive = stat(self.leader).is_some_and(|stat| !stat.has_ended());
        is_alive && self.runs(self.leader, &["sh", "cmd"])
    }

    /// The live processes of the job: its session and all descendants. Empty if another process has that pid now.
    ///
    /// Without sessions (Windows): the wrapper, and children of it that run its script, with their descendants. Windows
    /// keeps the pid of a parent that has ended.
    fn processes(self) -> Vec<ProcessIdentity> {
        let all = live_processes();
        let runs_script = |pid: u32| self.runs(pid, &["sh", "cmd", "cmd.sh", "child.cmd"]);
        let mut roots: Vec<u32> = self.session(&all);
        if !roots.iter().any(|pid| runs_script(*pid)) {
            roots.clear();
        }
        let near = all.iter().filter(|(pid, stat)| **pid == self.leader || stat.parent == self.leader);
        roots.extend(near.map(|(pid, _)| *pid).filter(|pid| runs_script(*pid)));
        with_descendants(&all, &roots)
    }

    /// The processes of the job that are alive after some of them have ended.
    fn remaining(self, before: &[ProcessIdentity]) -> Vec<ProcessIdentity> {
        let mut alive: Vec<u32> = before.iter().filter(|one| one.is_alive()).map(|one| one.pid).collect();
        if alive.is_empty() {
            return self.processes();
        }
        let all = live_processes();
        // While one of them is alive, the id of their session is not reused: new processes in it belong to the job too.
        alive.extend(self.session(&all));
        with_descendants(&all, &alive)
    }

    fn session(self, all: &HashMap<u32, Stat>) -> Vec<u32> {
        all.iter().filter(|(_, stat)| stat.session == self.leader).map(|(pid, _)| *pid).collect()
    }

    /// Whether a process was started with a script of the job as an argument: a file `ID.SUFFIX`.
    fn runs(self, pid: u32, suffixes: &[&str]) -> bool {
        process::arguments(pid).iter().any(|argument| self.is_script(argument, suffixes))
    }

    fn is_script(self, argument: &OsStr, suffixes: &[&str]) -> bool {
        let argument = argument.to_string_lossy();
        let name = argument.rsplit(['/', '\\']).next().unwrap_or_default();
        let suffix = name.strip_prefix(self.id).and_then(|rest| rest.strip_prefix('.'));
        suffix.is_some_and(|suffix| suffixes.contains(&suffix))
    }
}

/// All processes of the machine that have not ended.
fn live_processes() -> HashMap<u32, Stat> {
    let all = all_pids().into_iter().filter_map(|pid| Some((pid, stat(pid)?)));
    all.filter(|(_, stat)| !stat.has_ended()).collect()
}

fn with_descendants(all: &HashMap<u32, Stat>, roots: &[u32]) -> Vec<ProcessIdentity> {
    let mut found: HashMap<u32, u64> =
        roots.iter().filter_map(|pid| Some((*pid, all.get(pid)?.start_ticks))).collect();
    for root in roots {
        found.extend(descendants(*root, |_| true).into_iter().map(|(pid, stat)| (pid, stat.start_ticks)));
    }
    found.into_iter().map(|(pid, start_ticks)| ProcessIdentity { pid, start_ticks }).collect()
}
