//! Ends what is left of a job whose supervisor was killed. Without a subreaper the tree has fallen apart: its processes
//! are found by what they carry, and each is verified before it is signalled.

use std::collections::HashMap;
use std::time::Duration;

use homing_core::{JobId, Leftover, LeftoverFate};
use rustix::process::Signal;

use crate::end_job::is_supervisor;
use crate::platform::cgroup::Cgroup;
use crate::platform::{ProcessIdentity, clock, procfs};
use crate::record::StartedRecord;

/// The environment variable that every process of a job carries, unless it was taken away.
pub const JOB_VARIABLE: &str = "HOMING_JOB";

/// How long it is tried to end them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks for what is left.
const PAUSE: Duration = Duration::from_millis(5);

/// Ends every process that can be told to belong to the job, and returns them named.
///
/// Found are the processes of its control group, the main process, the processes of its session, those that carry its
/// `HOMING_JOB` or hold its output pipe, and all descendants of these. Not found, where there is no control group, is a
/// process that gave up all of that: session, environment, output and parents.
pub fn end_orphans(id: JobId, started: &StartedRecord) -> Vec<Leftover> {
    let give_up_at = clock::monotonic() + PATIENCE;
    let group = started.cgroup.as_deref().and_then(|path| Cgroup::existing(path, id));
    let mut ended: HashMap<ProcessIdentity, Leftover> = HashMap::new();
    loop {
        if let Some(group) = &group {
            group.kill();
        }
        let found = find_orphans(id, started);
        for (identity, leftover) in &found {
            // A process that is gone is what we want.
            let _ = identity.signal(Signal::KILL);
            ended.insert(*identity, leftover.clone());
        }
        let group_is_empty = group.as_ref().is_none_or(|group| !group.is_populated());
        if found.is_empty() && group_is_empty {
            break;
        }
        if clock::monotonic() > give_up_at {
            for (identity, _) in found {
                if let Some(leftover) = ended.get_mut(&identity) {
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
    let mut leftovers: Vec<Leftover> = ended.into_values().collect();
    leftovers.sort_by_key(|leftover| leftover.pid);
    leftovers
}

fn find_orphans(id: JobId, started: &StartedRecord) -> Vec<(ProcessIdentity, Leftover)> {
    let variable = format!("{JOB_VARIABLE}={id}");
    let myself = std::process::id();
    let belongs = |pid: u32, stat: &procfs::Stat| {
        (pid == started.main.pid && stat.start_ticks == started.main.start_ticks)
            || (stat.session == started.main.pid && stat.start_ticks >= started.main.start_ticks)
            || procfs::has_environment(pid, &variable)
            || procfs::holds_pipe(pid, started.output_pipe)
    };
    let mut found: HashMap<u32, procfs::Stat> = HashMap::new();
    for pid in procfs::all_pids() {
        // Whoever asks may itself be part of the job; it must live to record the end.
        if pid == myself || !procfs::is_ours(pid) {
            continue;
        }
        let Some(stat) = procfs::stat(pid) else { continue };
        if stat.has_ended() || !belongs(pid, &stat) || is_supervisor(pid) {
            continue;
        }
        for (below, stat) in procfs::descendants(pid, |below| below != myself && !is_supervisor(below)) {
            found.insert(below, stat);
        }
        found.insert(pid, stat);
    }
    found
        .into_iter()
        .map(|(pid, stat)| {
            let identity = ProcessIdentity { pid, start_ticks: stat.start_ticks };
            (identity, Leftover { pid, name: stat.name, fate: LeftoverFate::Ended })
        })
        .collect()
}
