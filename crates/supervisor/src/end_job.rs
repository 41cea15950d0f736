//! How a job is ended: SIGTERM to its whole tree, a grace time, SIGKILL until nothing of it is left. Processes that
//! left its session or its process group, and orphans of orphans, belong to the tree too: the supervisor is their
//! subreaper, so whatever loses its parent becomes its child.

use std::collections::HashSet;
use std::time::Duration;

use homing_core::{Leftover, LeftoverFate};
use rustix::process::{Pid, Signal, kill_process};

use crate::belongs::is_spared;
use crate::platform::cgroup::CgroupGuard;
use crate::platform::procfs::{self, Stat};
use crate::platform::wait::{Reaped, Wait, has_children, reap};
use crate::platform::{ProcessIdentity, clock};

/// How long SIGKILL is repeated before a process counts as one that cannot be ended.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a round of SIGKILL waits for its effect once nothing new turns up.
const KILL_PAUSE: Duration = Duration::from_millis(2);

/// All processes of a job, as its supervisor sees them.
#[derive(Debug)]
pub(crate) struct JobTree {
    cgroup: Option<CgroupGuard>,
    /// Processes that were asked to end, by pid and start time.
    asked: HashSet<(u32, u64)>,
}

impl JobTree {
    /// The tree below this process, and in its control group where there is one.
    pub(crate) fn new(cgroup: Option<CgroupGuard>) -> JobTree {
        JobTree { cgroup, asked: HashSet::new() }
    }

    /// Every process of the job that has not ended. Jobs that this job launched are not part of it: they have
    /// supervisors of their own and come home by themselves.
    pub(crate) fn members(&self) -> Vec<(u32, Stat)> {
        procfs::descendants(std::process::id(), |pid| !is_spared(pid))
    }

    /// The supervisors of other jobs, and the monitor, that this job started and that live on.
    pub(crate) fn spared(&self) -> Vec<(u32, Stat)> {
        if !has_children() {
            return Vec::new();
        }
        let children = procfs::children(std::process::id()).into_iter();
        children
            .filter_map(|pid| Some((pid, procfs::stat(pid).filter(|stat| !stat.has_ended())?)))
            .filter(|(pid, _)| is_spared(*pid))
            // The kernel knows it by the link that it was started through.
            .map(|(pid, stat)| (pid, Stat { name: "homing".to_owned(), ..stat }))
            .collect()
    }

    /// Whether nothing of the job is left, once every child that has ended was reaped.
    pub(crate) fn is_empty(&self, on_reaped: impl FnMut(Reaped)) -> bool {
        reap_ended(on_reaped) || only_spared_left()
    }

    /// Asks every process to end. One that was stopped is continued, or it could not hear.
    pub(crate) fn terminate(&mut self) {
        for (pid, stat) in self.members() {
            self.ask(pid, &stat);
        }
    }

    /// Asks orphans that were not asked yet: whoever was being forked while the others were asked does not know. What
    /// still has its parent is left alone, since it may be that one's way of cleaning up.
    pub(crate) fn terminate_new_orphans(&mut self) {
        for (pid, stat) in self.members() {
            if stat.parent == std::process::id() && !self.asked.contains(&(pid, stat.start_ticks)) {
                self.ask(pid, &stat);
            }
        }
    }

    fn ask(&mut self, pid: u32, stat: &Stat) {
        self.asked.insert((pid, stat.start_ticks));
        send(pid, stat, Signal::TERM);
        send(pid, stat, Signal::CONT);
    }

    /// Kills until nothing is left, or until only processes are left that even SIGKILL does not end. Children that
    /// are reaped on the way are handed to `on_reaped`; what could not be ended is returned.
    pub(crate) fn kill_all(&self, mut on_reaped: impl FnMut(Reaped)) -> Vec<Leftover> {
        let give_up_at = clock::monotonic() + KILL_TIMEOUT;
        let mut known: Vec<u32> = Vec::new();
        loop {
            if let Some(group) = &self.cgroup {
                group.kill();
            }
            let members = self.members();
            for (pid, stat) in &members {
                send(*pid, stat, Signal::KILL);
            }
            if self.is_empty(&mut on_reaped) {
                return Vec::new();
            }
            if clock::monotonic() > give_up_at {
                return leftovers(&members, LeftoverFate::Survived);
            }
            // As long as new processes turn up, somebody forks: then only speed helps. Otherwise the kernel is at
            // work, and is left to it.
            let pids: Vec<u32> = members.into_iter().map(|(pid, _)| pid).collect();
            if pids == known {
                std::thread::sleep(KILL_PAUSE);
            }
            known = pids;
        }
    }

    /// Gives the control group back, unless processes live in it that were kept, or that even SIGKILL did not end.
    pub(crate) fn release(&mut self) {
        match self.cgroup.take() {
            Some(group) if group.is_populated() => group.leave(),
            Some(_) | None => {}
        }
    }
}

/// Reaps every child that has ended. Answers whether no child is left at all.
pub(crate) fn reap_ended(mut on_reaped: impl FnMut(Reaped)) -> bool {
    loop {
        match reap() {
            Wait::Reaped(reaped) => on_reaped(reaped),
            Wait::AllRunning => return false,
            Wait::NoChildren => return true,
        }
    }
}

/// Names processes for the result.
pub(crate) fn leftovers(members: &[(u32, Stat)], fate: LeftoverFate) -> Vec<Leftover> {
    members.iter().map(|(pid, stat)| Leftover { pid: *pid, name: stat.name.clone(), fate }).collect()
}

/// Signals a process of the tree and no other. A child of ours keeps its pid until we reap it; any other process is
/// verified through a handle, which takes longer.
fn send(pid: u32, stat: &Stat, signal: Signal) {
    let child = (stat.parent == std::process::id()).then(|| i32::try_from(pid).ok().and_then(Pid::from_raw));
    // A process that is gone is what we want.
    let _ = match child.flatten() {
        Some(child) => kill_process(child, signal).map_err(Into::into),
        None => ProcessIdentity { pid, start_ticks: stat.start_ticks }.signal(signal),
    };
}

/// Whether the only children left are supervisors of other jobs, which this job launched. Asked twice, because the
/// kernel's list may skip a child while another one ends.
fn only_spared_left() -> bool {
    let look = || procfs::children(std::process::id()).into_iter().all(is_spared);
    look() && look()
}
