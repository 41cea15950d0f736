//! The process tree of a job: starts its main process behind a gate, and ends all its processes.
//!
//! macOS has no subreaper and no groups of processes that end as a whole. The processes of a job are those with its session,
//! its process group or its `HOMING_JOB`, all their descendants, and all that were found once. An orphan that has none of
//! these is not found, so an empty tree is not proved.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use homing_core::JobId;

use super::children::{Wait, reap};
use super::events::SupervisorEvents;
use super::gate::{GatedChild, fork_behind_gate};
use super::guard::Guard;
use super::kqueue::{Filter, Kqueue};
use super::members::{Evidence, Members};
use super::pipe::PipeWriter;
use super::placement::Placement;
use super::process::{ProcessIdentity, Signal, Stat, signal_descendant};
use super::{clock, errors};

pub use super::children::{ProcessEnd, Reaped};
pub use super::exec_plan::CommandPlan;
pub use super::gate::StartStep;

/// How long SIGKILL is repeated before the remaining processes count as survivors.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two rounds of SIGKILL while no new process appears.
const KILL_PAUSE: Duration = Duration::from_millis(2);

/// How many searches in a row must find no process before the tree counts as empty. A process that is just being forked is
/// found by the second one.
const EMPTY_SEARCHES: usize = 2;

/// The pid of launchd, which adopts orphans.
const LAUNCHD: u32 = 1;

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
    id: JobId,
    events: Kqueue,
}

/// Creates the main process of a job, which waits at a gate. It has the standard input of this process, writes to `output`,
/// and has no other open files and its own session. If this process dies while it waits, it exits.
///
/// # Errors
/// If the limit of processes or descriptors is reached.
pub fn start_gated(
    plan: &CommandPlan,
    id: JobId,
    _placement: &Placement,
    events: &SupervisorEvents,
    output: JobOutput,
) -> io::Result<GatedJob> {
    let JobOutput { output, error } = output;
    let events = events.queue()?;
    let child = fork_behind_gate(plan, &output, error.as_ref().unwrap_or(&output))?;
    Ok(GatedJob { child, id, events })
}

impl GatedJob {
    /// Returns its main process; `None` if the system does not show it.
    pub fn main(&self) -> Option<ProcessIdentity> {
        ProcessIdentity::of(self.child.pid())
    }

    /// Returns the name of the group that the job shall have, for the record; `None`, because there are none.
    pub fn group_name(&self) -> Option<String> {
        None
    }

    /// Creates the group and moves the process into it. Returns whether the job has the group now: it has not.
    pub fn enter_group(&mut self) -> bool {
        false
    }

    /// Lets the command run. Returns when the process executes it. `is_spared` says of a process whether it is the
    /// supervisor of another job or the monitor, which do not belong to this job.
    ///
    /// # Errors
    /// The step that failed in the process, and its error. The process has ended.
    pub fn open(self, is_spared: fn(u32) -> bool) -> Result<JobTree, (StartStep, io::Error)> {
        let main = self.child.pid();
        let evidence = Evidence::of(self.id, main, ProcessIdentity::of(main));
        let guard = Guard::start_if_wanted(&evidence, is_spared);
        self.child.open()?;
        Ok(JobTree {
            main,
            is_main_reaped: Cell::new(false),
            evidence,
            guard,
            is_spared,
            events: self.events,
            known: RefCell::default(),
            terminated: HashSet::new(),
        })
    }
}

/// All processes of a job, as seen by its supervisor.
#[derive(Debug)]
pub struct JobTree {
    main: u32,
    is_main_reaped: Cell<bool>,
    evidence: Evidence,
    guard: Option<Guard>,
    is_spared: fn(u32) -> bool,
    /// Also reports the end of known processes.
    events: Kqueue,
    /// Processes that were found once, by pid and start time. They stay members until they end.
    known: RefCell<HashMap<u32, u64>>,
    /// Processes that received SIGTERM, by pid and start time.
    terminated: HashSet<(u32, u64)>,
}

impl JobTree {
    /// Returns every process of the job that has not ended. Jobs that this job launched are excluded: they have their
    /// own supervisors and are reported separately.
    pub fn members(&self) -> Vec<(u32, Stat)> {
        self.search().members
    }

    /// Returns the running supervisors of other jobs, and the monitor, that this job started and that have not detached yet.
    /// Those that have are children of launchd, and nothing says any more who started them.
    pub fn spared(&self) -> Vec<(u32, Stat)> {
        let spared = self.search().spared.into_iter();
        spared.map(|(pid, stat)| (pid, Stat { name: "homing".to_owned(), ..stat })).collect()
    }

    fn search(&self) -> Members {
        let mut known = self.known.borrow_mut();
        let found = self.evidence.search(&known, self.guard.as_ref().map(Guard::pid), self.is_spared);
        known.clear();
        known.extend(found.members.iter().map(|(pid, stat)| (*pid, stat.start_ticks)));
        found
    }

    /// Reaps the main process if it has ended. Returns whether no process of the job is found any more.
    pub fn is_empty(&self, mut on_reaped: impl FnMut(Reaped)) -> bool {
        if !self.is_main_reaped.get() {
            match reap(self.main) {
                Wait::Reaped(reaped) => on_reaped(reaped),
                Wait::Running => return false,
                Wait::NoChild => {}
            }
            self.is_main_reaped.set(true);
        }
        // A search reads all processes, so it waits until those that are known have ended.
        !self.has_known_alive() && (0..EMPTY_SEARCHES).all(|_| self.finds_none())
    }

    fn has_known_alive(&self) -> bool {
        let known = self.known.borrow();
        known.iter().any(|(pid, start_ticks)| {
            let identity = ProcessIdentity { pid: *pid, start_ticks: *start_ticks };
            identity.is_alive() && self.watch_end(identity.pid)
        })
    }

    /// Searches once. The end of each process that is found is an event of the supervisor.
    fn finds_none(&self) -> bool {
        let members = self.members();
        // A process that ends before it is watched is not reported, and does not count.
        let watched: Vec<bool> = members.iter().map(|(pid, _)| self.watch_end(*pid)).collect();
        !watched.contains(&true)
    }

    /// Returns whether the process was alive when the watch of its end began.
    fn watch_end(&self, pid: u32) -> bool {
        let watched = self.events.add(Filter::process_end(pid, 0));
        !watched.is_err_and(|error| errors::is_no_such_process(&error))
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
            let is_orphan = stat.parent == LAUNCHD || stat.parent == std::process::id();
            if is_orphan && !self.terminated.contains(&(pid, stat.start_ticks)) {
                self.terminate_process(pid, &stat);
            }
        }
    }

    fn terminate_process(&mut self, pid: u32, stat: &Stat) {
        self.terminated.insert((pid, stat.start_ticks));
        send(pid, stat, Signal::Terminate);
        send(pid, stat, Signal::Continue);
    }

    /// Sends SIGKILL until no process is found, or for at most 10 s. Calls `on_reaped` for each child that
    /// is reaped. Returns the processes that survived.
    pub fn kill_all(&self, mut on_reaped: impl FnMut(Reaped)) -> Vec<(u32, Stat)> {
        let give_up_at = clock::monotonic() + KILL_TIMEOUT;
        let mut known: Vec<u32> = Vec::new();
        loop {
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

    /// Gives up the processes that are left: kept ones, or survivors of SIGKILL.
    pub fn release(&mut self) {
        self.guard = None;
        self.known.borrow_mut().clear();
    }
}

/// Signals a process of the tree and no other.
fn send(pid: u32, stat: &Stat, signal: Signal) {
    // An error means that the process has ended, which is the goal, or that another user owns it: then it survives.
    let _ = signal_descendant(pid, stat, signal);
}
