//! The process tree of a job: starts its main process behind a gate, and ends all its processes. The tree includes
//! processes that left the session or the process group, and orphans: the supervisor is a subreaper, so every orphan
//! becomes its child.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use homing_core::JobId;

use super::children::{Wait, has_children, reap};
use super::clock;
use super::events::SupervisorEvents;
use super::gate::{GatedChild, fork_behind_gate};
use super::group::{Group, OwnedGroup};
use super::pipe::PipeWriter;
use super::placement::Placement;
use super::process::{self, ProcessIdentity, Signal, Stat, signal_descendant};

pub use super::children::{ProcessEnd, Reaped};
pub use super::exec_plan::CommandPlan;
pub use super::gate::StartStep;

/// How long SIGKILL is repeated before the remaining processes count as survivors.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two rounds of SIGKILL while no new process appears.
const KILL_PAUSE: Duration = Duration::from_millis(2);

/// The pipes that a job writes to.
#[derive(Debug)]
pub struct JobOutput {
    /// Its standard output.
    pub output: PipeWriter,
    /// Its standard error; the same pipe without one.
    pub error: Option<PipeWriter>,
}

/// A job whose main process waits at a gate. Dropping this ends the process: the command does not run.
#[derive(Debug)]
#[must_use = "open() lets the command run"]
pub struct GatedJob {
    child: GatedChild,
    planned: Option<Group>,
    group: Option<OwnedGroup>,
}

/// Creates the main process of a job, which waits at a gate. It has the standard input of this process,
/// writes to `output`, and has no other open files and its own session. The system ends
/// it when this process dies.
///
/// # Errors
/// If the limit of processes or descriptors is reached.
pub fn start_gated(
    plan: &CommandPlan,
    id: JobId,
    placement: &Placement,
    _events: &SupervisorEvents,
    output: JobOutput,
) -> io::Result<GatedJob> {
    let JobOutput { output, error } = output;
    let child = fork_behind_gate(plan, &output, error.as_ref().unwrap_or(&output))?;
    Ok(GatedJob { child, planned: Group::planned(id, placement.groups()), group: None })
}

impl GatedJob {
    /// Returns its main process; `None` if `/proc` does not show it.
    pub fn main(&self) -> Option<ProcessIdentity> {
        ProcessIdentity::of(self.child.pid())
    }

    /// Returns the name of the group that the job shall have, for the record; `None` if the system offers none. Record it
    /// before the group is entered: after a crash, recovery then knows which group to remove.
    pub fn group_name(&self) -> Option<String> {
        self.planned.as_ref().map(|group| group.path().to_string_lossy().into_owned())
    }

    /// Creates the group and moves the process into it. Returns whether the job has the group now.
    pub fn enter_group(&mut self) -> bool {
        self.group = self.planned.take().and_then(|group| group.create_for(self.child.pid()).ok());
        self.group.is_some()
    }

    /// Lets the command run. Returns when the process executes it. `is_spared` says of a process whether it is the
    /// supervisor of another job or the monitor, which do not belong to this job.
    ///
    /// # Errors
    /// The step that failed in the process, and its error. The process has ended.
    pub fn open(self, is_spared: fn(u32) -> bool) -> Result<JobTree, (StartStep, io::Error)> {
        self.child.open()?;
        Ok(JobTree { group: self.group, is_spared, terminated: HashSet::new() })
    }
}

/// All processes of a job, as seen by its supervisor.
#[derive(Debug)]
pub struct JobTree {
    group: Option<OwnedGroup>,
    is_spared: fn(u32) -> bool,
    /// Processes that received SIGTERM, by pid and start time.
    terminated: HashSet<(u32, u64)>,
}

impl JobTree {
    /// Returns every process of the job that has not ended. Jobs that this job launched are excluded: they have their
    /// own supervisors and are reported separately.
    pub fn members(&self) -> Vec<(u32, Stat)> {
        process::descendants(std::process::id(), |pid| !(self.is_spared)(pid))
    }

    /// Returns the running supervisors of other jobs, and the monitor, that this job started.
    pub fn spared(&self) -> Vec<(u32, Stat)> {
        if !has_children() {
            return Vec::new();
        }
        let children = process::children(std::process::id()).into_iter();
        children
            .filter_map(|pid| Some((pid, process::stat(pid).filter(|stat| !stat.has_ended())?)))
            .filter(|(pid, _)| (self.is_spared)(*pid))
            // In the kernel, its name is that of the link it was started through.
            .map(|(pid, stat)| (pid, Stat { name: "homing".to_owned(), ..stat }))
            .collect()
    }

    /// Reaps all children that have ended. Returns whether no process of the job is left.
    pub fn is_empty(&self, on_reaped: impl FnMut(Reaped)) -> bool {
        reap_ended(on_reaped) || self.only_spared_left()
    }

    /// Sends SIGTERM to every process. Stopped processes are continued, so that they can receive it.
    pub fn terminate(&mut self) {
        for (pid, stat) in self.members() {
            self.terminate_process(pid, &stat);
        }
    }

    /// Sends SIGTERM to orphans that have not received it yet: a process that was forked during [`Self::terminate`]
    /// has not. Processes whose parent is alive are left alone: the parent may have started them for its cleanup.
    pub fn terminate_new_orphans(&mut self) {
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

    /// Sends SIGKILL until no process is left, or for at most 10 s. Calls `on_reaped` for each child that
    /// is reaped. Returns the processes that survived.
    pub fn kill_all(&self, mut on_reaped: impl FnMut(Reaped)) -> Vec<(u32, Stat)> {
        let give_up_at = clock::monotonic() + KILL_TIMEOUT;
        let mut known: Vec<u32> = Vec::new();
        loop {
            if let Some(group) = &self.group {
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
                return members;
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
    pub fn release(&mut self) {
        match self.group.take() {
            Some(group) if group.is_populated() => group.leave(),
            Some(_) | None => {}
        }
    }

    /// Whether the only children left are spared: supervisors of other jobs, and the monitor. Checks twice, because the
    /// kernel's list may skip a child while another one ends.
    fn only_spared_left(&self) -> bool {
        let all_spared = || process::children(std::process::id()).into_iter().all(self.is_spared);
        all_spared() && all_spared()
    }
}

/// Reaps every child that has ended. Returns whether no child is left.
fn reap_ended(mut on_reaped: impl FnMut(Reaped)) -> bool {
    loop {
        match reap() {
            Wait::Reaped(reaped) => on_reaped(reaped),
            Wait::AllRunning => return false,
            Wait::NoChildren => return true,
        }
    }
}

/// Signals a process of the tree and no other.
fn send(pid: u32, stat: &Stat, signal: Signal) {
    // An error means that the process has ended, which is the goal.
    let _ = signal_descendant(pid, stat, signal);
}
