//! Ends the remaining processes of a job whose supervisor was killed. Without the subreaper, the process tree is not
//! connected any more. The processes are found by evidence (`belongs.rs`), and each is verified before it is
//! signalled.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use homing_core::{JobId, Leftover, LeftoverFate};

use crate::belongs::{Evidence, JobEvidence, is_spared};
use crate::disk::documents::StartedRecord;
use crate::platform::group::Group;
use crate::platform::process::{self, Signal, Stat};
use crate::platform::{ProcessIdentity, clock, errors};

/// How long SIGKILL is repeated.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two searches.
const PAUSE: Duration = Duration::from_millis(5);

/// A process that may belong to the job.
struct Found {
    stat: Stat,
    evidence: Evidence,
}

/// Ends every process that belongs to the job, and returns them. Call it only in the pid namespace that the job ran
/// in.
///
/// Finds the processes in its control group, the main process, processes that have its `HOMING_JOB` in their
/// environment or hold its output pipe open, processes of its session, and all their descendants. Without a control
/// group it does not find a process that has left all of these: session, environment, output and parents. Returns as
/// [`LeftoverFate::Survived`] a process that this user may not signal, or whose only evidence is a session that may
/// belong to another program.
pub fn end_orphans(id: JobId, started: &StartedRecord) -> Vec<Leftover> {
    let give_up_at = clock::monotonic() + KILL_TIMEOUT;
    let group = started.group.as_deref().and_then(|name| Group::existing(name, id));
    let mut named: HashMap<ProcessIdentity, Leftover> = HashMap::new();
    let mut refused: HashSet<ProcessIdentity> = HashSet::new();
    if let Some(group) = &group {
        group.step_out();
    }
    loop {
        // Search before the group is killed, so that the result lists its processes.
        let found = find_orphans(id, started, group.as_ref());
        if let Some(group) = &group {
            group.kill();
        }
        let mut is_done = group.as_ref().is_none_or(|group| !group.is_populated());
        for (pid, Found { stat, evidence }) in &found {
            let identity = ProcessIdentity { pid: *pid, start_ticks: stat.start_ticks };
            let is_ended = match evidence {
                Evidence::Suspicion => false,
                Evidence::Proof if refused.contains(&identity) => false,
                // Any other error means that the process has ended, which is the goal.
                Evidence::Proof => {
                    !identity.signal(Signal::Kill).is_err_and(|error| errors::is_not_permitted(&error))
                }
            };
            if is_ended {
                is_done = false;
            } else {
                refused.insert(identity);
            }
            let fate = if is_ended { LeftoverFate::Ended } else { LeftoverFate::Survived };
            named.insert(identity, Leftover { pid: *pid, name: stat.name.clone(), fate });
        }
        if is_done {
            break;
        }
        if clock::monotonic() > give_up_at {
            for (pid, Found { stat, .. }) in found {
                let identity = ProcessIdentity { pid, start_ticks: stat.start_ticks };
                if let Some(leftover) = named.get_mut(&identity) {
                    leftover.fate = LeftoverFate::Survived;
                }
            }
            break;
        }
        std::thread::sleep(PAUSE);
    }
    if let Some(group) = &group {
        group.remove();
    }
    if group.is_some() {
        // The kernel kills the whole group, including processes that this user may not signal.
        for (identity, leftover) in &mut named {
            if leftover.fate == LeftoverFate::Survived && !identity.is_alive() {
                leftover.fate = LeftoverFate::Ended;
            }
        }
    }
    let mut leftovers: Vec<Leftover> = named.into_values().collect();
    leftovers.sort_by_key(|leftover| leftover.pid);
    leftovers
}

fn find_orphans(id: JobId, started: &StartedRecord, group: Option<&Group>) -> HashMap<u32, Found> {
    let members: HashSet<u32> = group.map(Group::members).unwrap_or_default().into_iter().collect();
    let job = JobEvidence::of(id, started);
    let myself = std::process::id();
    let mut found: HashMap<u32, Found> = HashMap::new();
    for pid in process::all_pids() {
        // This process may itself belong to the job. It must live to record the end.
        if pid == myself {
            continue;
        }
        let Some(stat) = process::stat(pid).filter(|stat| !stat.has_ended()) else { continue };
        let evidence = if members.contains(&pid) { Some(Evidence::Proof) } else { job.about(pid, &stat) };
        let Some(evidence) = evidence else { continue };
        if is_spared(pid) {
            continue;
        }
        for (below, stat) in process::descendants(pid, |below| below != myself && !is_spared(below)) {
            found.entry(below).or_insert(Found { stat, evidence });
        }
        if evidence == Evidence::Proof || !found.contains_key(&pid) {
            found.insert(pid, Found { stat, evidence });
        }
    }
    found
}
