//! Ends what is left of a job whose supervisor was killed. Without a subreaper the tree has fallen apart: its processes
//! are found by what they carry, and each is verified before it is signalled.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use homing_core::{JobId, Leftover, LeftoverFate};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::belongs::{Evidence, JobEvidence, is_spared};
use crate::platform::cgroup::Cgroup;
use crate::platform::{ProcessIdentity, clock, procfs};
use crate::record::StartedRecord;

/// How long it is tried to end them.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks for what is left.
const PAUSE: Duration = Duration::from_millis(5);

/// A process that is tied to the job.
struct Found {
    stat: procfs::Stat,
    evidence: Evidence,
}

/// Ends every process that can be told to belong to the job, and returns them named. Call it only in the pid namespace
/// that the job ran in.
///
/// Found are the processes of its control group, the main process, those that carry its `HOMING_JOB` or hold its output
/// pipe, the processes of its session, and all descendants of these. Not found, where there is no control group, is a
/// process that gave up all of that: session, environment, output and parents. A process that this user may not signal,
/// or whose only tie is a session that could be somebody else's, is named as survived.
pub fn end_orphans(id: JobId, started: &StartedRecord) -> Vec<Leftover> {
    let give_up_at = clock::monotonic() + KILL_TIMEOUT;
    let group = started.cgroup.as_deref().and_then(|path| Cgroup::existing(path, id));
    let mut named: HashMap<ProcessIdentity, Leftover> = HashMap::new();
    let mut refused: HashSet<ProcessIdentity> = HashSet::new();
    if let Some(group) = &group {
        group.step_out();
    }
    loop {
        // Before its group is ended: what is ended is named.
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
                // A process that is gone is what we want.
                Evidence::Proof => !is_refused(identity.signal(Signal::KILL)),
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
        // A group is ended as a whole, with processes in it that this user may not signal.
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

/// Whether a signal was not sent because this user may not signal the process.
fn is_refused(sent: std::io::Result<()>) -> bool {
    sent.is_err_and(|error| error.raw_os_error() == Some(Errno::PERM.raw_os_error()))
}

fn find_orphans(id: JobId, started: &StartedRecord, group: Option<&Cgroup>) -> HashMap<u32, Found> {
    let members: HashSet<u32> = group.map(Cgroup::members).unwrap_or_default().into_iter().collect();
    let job = JobEvidence::of(id, started);
    let myself = std::process::id();
    let mut found: HashMap<u32, Found> = HashMap::new();
    for pid in procfs::all_pids() {
        // Whoever asks may itself be part of the job; it must live to record the end.
        if pid == myself {
            continue;
        }
        let Some(stat) = procfs::stat(pid).filter(|stat| !stat.has_ended()) else { continue };
        let evidence = if members.contains(&pid) { Some(Evidence::Proof) } else { job.about(pid, &stat) };
        let Some(evidence) = evidence else { continue };
        if is_spared(pid) {
            continue;
        }
        for (below, stat) in procfs::descendants(pid, |below| below != myself && !is_spared(below)) {
            found.entry(below).or_insert(Found { stat, evidence });
        }
        if evidence == Evidence::Proof || !found.contains_key(&pid) {
            found.insert(pid, Found { stat, evidence });
        }
    }
    found
}
