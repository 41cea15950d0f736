//! Finds the processes of a job among all processes.

use std::collections::{HashMap, HashSet};

use homing_core::JobId;

use super::process::{ProcessIdentity, Stat, all_pids, has_environment, stat};

/// What identifies the processes of a job.
#[derive(Debug)]
pub(super) struct Evidence {
    /// The pid of the main process, which is also the id of its session and process group. The kernel gives it to no other
    /// process while one of them is in use.
    main: u32,
    /// When the main process started.
    started: u64,
    /// `HOMING_JOB=ID`.
    variable: String,
}

/// The processes of a job.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Those that belong to it.
    pub(super) members: Vec<(u32, Stat)>,
    /// Supervisors of other jobs, and the monitor, among them or their descendants.
    pub(super) spared: Vec<(u32, Stat)>,
}

/// The environment variable that every process of a job inherits, unless it was removed.
const JOB_VARIABLE: &str = "HOMING_JOB";

impl Evidence {
    /// The evidence for a job whose main process has this pid.
    pub(super) fn of(id: JobId, main: u32, identity: Option<ProcessIdentity>) -> Evidence {
        let started = identity.map_or(0, |identity| identity.start_ticks);
        Evidence { main, started, variable: format!("{JOB_VARIABLE}={id}") }
    }

    /// Searches all processes once. `known` are processes that were found before, by pid and start time. This process, which
    /// is the supervisor or its guard, and `guard` are never among those that are found.
    pub(super) fn search(
        &self,
        known: &HashMap<u32, u64>,
        guard: Option<u32>,
        is_spared: fn(u32) -> bool,
    ) -> Members {
        let myself = std::process::id();
        let running: HashMap<u32, Stat> = all_pids()
            .into_iter()
            .filter(|pid| *pid != myself && Some(*pid) != guard)
            .filter_map(|pid| Some((pid, stat(pid).filter(|stat| !stat.has_ended())?)))
            .collect();
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (pid, stat) in &running {
            children.entry(stat.parent).or_default().push(*pid);
        }
        let is_known = |pid: &u32, stat: &Stat| known.get(pid) == Some(&stat.start_ticks);
        let proved = running.iter().filter(|(pid, stat)| is_known(pid, stat) || self.is_about(**pid, stat));
        let mut to_visit: Vec<u32> = proved.map(|(pid, _)| *pid).collect();
        let mut visited = HashSet::new();
        let mut found = Members::default();
        while let Some(pid) = to_visit.pop() {
            let Some(stat) = running.get(&pid).filter(|_| visited.insert(pid)) else { continue };
            if is_spared(pid) {
                found.spared.push((pid, stat.clone()));
                continue;
            }
            to_visit.extend(children.get(&pid).into_iter().flatten());
            found.members.push((pid, stat.clone()));
        }
        found
    }

    /// Whether the process belongs to the job for itself, not only by its parents.
    fn is_about(&self, pid: u32, stat: &Stat) -> bool {
        if pid == self.main || stat.session == self.main || stat.group == self.main {
            return true;
        }
        // Older processes cannot belong to it. This also saves reading most environments.
        stat.start_ticks >= self.started && has_environment(pid, &self.variable)
    }
}
