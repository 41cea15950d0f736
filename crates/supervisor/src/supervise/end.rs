//! Ends a job: SIGTERM to the whole process tree, a grace period, then SIGKILL until no process is left. The tree
//! includes processes that left the session or the process group, and orphans: the supervisor is a subreaper, so
//! every orphan becomes its child.

use std::collections::HashSet;
use std::time::Duration;

use homing_core::{Leftover, LeftoverFate};

use crate::belongs::is_spared;
use crate::platform::cgroup::CgroupGuard;
use crate::platform::children::{Reaped, Wait, has_children, reap};
use crate::platform::clock;
use crate::platform::process::{self, Signal, Stat, signal_descendant};

/// How long SIGKILL is repeated before the remaining processes count as survivors.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two rounds of SIGKILL while no new process appears.
const KILL_PAUSE: Duration = Duration::from_millis(2);

/// All processes of a job, as seen by its supervisor.
#[derive(Debug)]
pub(crate) struct JobTree {
    cgroup: Option<CgroupGuard>,
    /// Processes that received SIGTERM, by pid and start time.
    terminated: HashSet<(u32, u64)>,
}

impl JobTree {
    /// Creates the tree below this process, with its control group if there is one.
    pub(crate) fn new(cgroup: Option<CgroupGuard>) -> JobTree {
        JobTree { cgroup, terminated: HashSet::new() }
    }

    /// Returns every process of the job that has not ended. Jobs that this job launched are excluded: they have their
    /// own supervisors and are reported separately.
    pub(crate) fn members(&self) -> Vec<(u32, Stat)> {
        process::descendants(std::process::id(), |pid| !is_spared(pid))
    }

    /// Returns the running supervisors of other jobs, and the monitor, that this job started.
    pub(crate) fn spared(&self) -> Vec<(u32, Stat)> {
        if !has_children() {
            return Vec::new();
        }
        let children = process::children(std::process::id()).into_iter();
        children
            .filter_map(|pid| Some((pid, process::stat(pid).filter(|stat| !stat.has_ended())?)))
            .filter(|(pid, _)| is_spared(*pid))
            // In the kernel, its name is that of the link it was started through.
            .map(|(pid, stat)| (pid, Stat { name: "homing".to_owned(), ..stat }))
            .collect()
    }

    /// Reaps all children that have ended. Returns whether no process of the job is left.
    pub(crate) fn is_empty(&self, on_reaped: impl FnMut(Reaped)) -> bool {
        reap_ended(on_reaped) || only_spared_left()
    }

    /// Sends SIGTERM to every process. Stopped processes are continued, so that they can receive it.
    pub(crate) fn terminate(&mut self) {
        for (pid, stat) in self.members() {
            self.terminate_process(pid, &stat);
        }
    }

    /// Sends SIGTERM to orphans that have not received it yet: a process that was forked during [`Self::terminate`]
    /// has not. Processes whose parent is alive are left alone: the parent may have started them for its cleanup.
    pub(crate) fn terminate_new_orphans(&mut self) {
        for (pid, stat) in self.members() {
            if stat.parent == std::process::id() && !self.terminated.contains(&(pid, stat.start_ticks)) {
                self.terminate_process(pid, &stat);
            }
        }
    }

    fn terminate_process(&mut self, pid: u32, stat: &Stat) {
        self.terminated.insert((pid, stat.start_ticks));
        send(pid, stat, Signal::Terminate);
        send(pid, stat, Signal::Continue);
    }

    /// Sends SIGKILL until no process is left, or for at most [`KILL_TIMEOUT`]. Calls `on_reaped` for each child that
    /// is reaped. Returns the processes that survived.
    pub(crate) fn kill_all(&self, mut on_reaped: impl FnMut(Reaped)) -> Vec<Leftover> {
        let give_up_at = clock::monotonic() + KILL_TIMEOUT;
        let mut known: Vec<u32> = Vec::new();
        loop {
            if let Some(group) = &self.cgroup {
                group.kill();
            }
            let members = self.members();
            for (pid, stat) in &members {
                send(*pid, stat, Signal::Kill);
            }
            if self.is_empty(&mut on_reaped) {
                return Vec::new();
            }
            if clock::monotonic() > give_up_at {
                return leftovers(&members, LeftoverFate::Survived);
            }
            // While new processes appear, a process is forking: continue without a pause. Otherwise give the kernel
            // time to end them.
            let pids: Vec<u32> = members.into_iter().map(|(pid, _)| pid).collect();
            if pids == known {
                std::thread::sleep(KILL_PAUSE);
            }
            known = pids;
        }
    }

    /// Removes the control group, unless processes are left in it: kept ones, or survivors of SIGKILL.
    pub(crate) fn release(&mut self) {
        match self.cgroup.take() {
            Some(group) if group.is_populated() => group.leave(),
            Some(_) | None => {}
        }
    }
}

/// Reaps every child that has ended. Returns whether no child is left.
pub(crate) fn reap_ended(mut on_reaped: impl FnMut(Reaped)) -> bool {
    loop {
        match reap() {
            Wait::Reaped(reaped) => on_reaped(reaped),
            Wait::AllRunning => return false,
            Wait::NoChildren => return true,
        }
    }
}

/// Describes processes for the result.
pub(crate) fn leftovers(members: &[(u32, Stat)], fate: LeftoverFate) -> Vec<Leftover> {
    members.iter().map(|(pid, stat)| Leftover { pid: *pid, name: stat.name.clone(), fate }).collect()
}

/// Signals a process of the tree and no other.
fn send(pid: u32, stat: &Stat, signal: Signal) {
    // An error means that the process has ended, which is the goal.
    let _ = signal_descendant(pid, stat, signal);
}

/// Whether the only children left are spared: supervisors of other jobs, and the monitor. Checks twice, because the
/// kernel's list may skip a child while another one ends.
fn only_spared_left() -> bool {
    let all_spared = || process::children(std::process::id()).into_iter().all(is_spared);
    all_spared() && all_spared()
}
