//! Finds and ends processes by an environment variable. For programs that run without a supervisor and must end in
//! time. Jobs that such a program launched are left alone.

use std::collections::HashMap;
use std::time::Duration;

use crate::belongs::is_spared;
use crate::names::JOB_VARIABLE;
use crate::platform::process::{self, Signal};
use crate::platform::{ProcessIdentity, clock};

/// How long SIGKILL is repeated.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two searches.
const PAUSE: Duration = Duration::from_millis(5);

/// Returns the running processes of this user that were started with `variable` (`NAME=value`), and their
/// descendants.
///
/// Excludes this process, and all jobs of homing (they have `HOMING_JOB` in their environment) with their
/// supervisors. Does not find a process that has left both the variable and its parents, or whose environment the
/// kernel hides, such as a set-user-ID program.
pub fn marked_processes(variable: &str) -> Vec<ProcessIdentity> {
    let myself = std::process::id();
    let is_spared = |pid| pid == myself || is_spared(pid) || process::environment_names(pid, JOB_VARIABLE);
    let mut found = HashMap::new();
    for pid in process::all_pids() {
        if !process::is_own_user(pid) {
            continue;
        }
        // Read the start time before the environment: if the pid is reused between the two, no process is signalled.
        let Some(stat) = process::stat(pid).filter(|stat| !stat.has_ended()) else { continue };
        if !process::has_environment(pid, variable) || is_spared(pid) {
            continue;
        }
        for (below, stat) in process::descendants(pid, |below| !is_spared(below)) {
            found.insert(below, stat.start_ticks);
        }
        found.insert(pid, stat.start_ticks);
    }
    found.into_iter().map(|(pid, start_ticks)| ProcessIdentity { pid, start_ticks }).collect()
}

/// Kills all [`marked_processes`] of a variable until none is left. Returns the processes that survived SIGKILL.
pub fn end_marked_processes(variable: &str) -> Vec<ProcessIdentity> {
    let give_up_at = clock::monotonic() + KILL_TIMEOUT;
    loop {
        let found = marked_processes(variable);
        if found.is_empty() || clock::monotonic() > give_up_at {
            return found;
        }
        for process in &found {
            // An error means that the process has ended, which is the goal.
            let _ = process.signal(Signal::Kill);
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A program that runs until its standard input is closed.
    fn waiting_program(variables: &[(&str, &str)]) -> Child {
        let mut command = Command::new(if cfg!(windows) { "cmd.exe" } else { "cat" });
        command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::null());
        command.spawn().expect("it starts")
    }

    #[test]
    fn marked_processes_are_ended_and_jobs_and_others_are_not() {
        let value = format!("marked-{}", std::process::id());
        let variable = format!("HOMING_TEST_MARK={value}");
        let mark = ("HOMING_TEST_MARK", value.as_str());
        let mut marked = waiting_program(&[mark]);
        let mut job = waiting_program(&[mark, (JOB_VARIABLE, "000000000000")]);
        let mut stranger = waiting_program(&[("HOMING_TEST_MARK", "another")]);
        let found = marked_processes(&variable);
        let survivors = end_marked_processes(&variable);
        let end = |child: &mut Child| {
            let lived = child.try_wait().expect("our own child can be waited for").is_none();
            let _ = child.kill();
            child.wait().expect("our own child can be reaped");
            lived
        };
        let lived = [end(&mut marked), end(&mut job), end(&mut stranger)];
        assert_eq!(found.iter().map(|process| process.pid).collect::<Vec<_>>(), [marked.id()]);
        assert_eq!((survivors, lived), (Vec::new(), [false, true, true]));
    }
}
