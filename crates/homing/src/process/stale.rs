//! Processes of attempts whose monitor died. A sink's program may survive its monitor and still deliver its wake. A
//! second program would talk to the same session at the same time.

use std::time::{Duration, Instant};

use homing_core::WakeId;
use homing_supervisor::platform::ProcessIdentity;
use homing_supervisor::platform::process::Signal;
use homing_supervisor::{end_marked_processes, marked_processes};

use crate::harness::WAKE_VARIABLE;

/// The time between SIGTERM and SIGKILL after a timeout.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Pause before the next check if a process cannot be waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// The processes that run for a wake: the sink's programs of all attempts and their descendants, except jobs.
///
/// After a sink's program has exited by itself, these are processes that it left running on purpose, such as a
/// server.
pub(crate) fn running_processes_of(wake: WakeId) -> Vec<ProcessIdentity> {
    marked_processes(&wake_mark(wake))
}

/// Blocks until no process runs for a wake. At `deadline` it sends SIGTERM to the remaining processes, and five
/// seconds later SIGKILL. Afterwards no process of an old attempt runs, except one that hangs in the kernel.
///
/// Returns at once if no process runs. Can be repeated.
pub(crate) fn wait_for_stale_processes(wake: WakeId, deadline: Instant) {
    wait_for_stale_processes_with(wake, deadline, GRACE);
}

fn wait_for_stale_processes_with(wake: WakeId, deadline: Instant, grace: Duration) {
    if all_end_by(wake, deadline) {
        return;
    }
    for process in running_processes_of(wake) {
        // An error means that the process has ended already.
        let _ = process.signal(Signal::Terminate);
        let _ = process.signal(Signal::Continue);
    }
    if !all_end_by(wake, Instant::now() + grace) {
        let _ = end_marked_processes(&wake_mark(wake));
    }
}

/// Returns whether all processes end before the deadline.
fn all_end_by(wake: WakeId, deadline: Instant) -> bool {
    loop {
        let found = running_processes_of(wake);
        // Wait for the oldest: it is the program itself, or the process that most likely lives longest.
        let Some(oldest) = found.iter().min_by_key(|process| (process.start_ticks, process.pid)) else {
            return true;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        match oldest.open() {
            // The next pass checks all processes again.
            Ok(handle) => drop(handle.has_ended_within(left)),
            Err(_) => std::thread::sleep(PAUSE.min(left)),
        }
    }
}

/// The variable that marks the processes of a wake.
pub(crate) fn wake_mark(wake: WakeId) -> String {
    format!("{WAKE_VARIABLE}={wake}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, ExitStatus, Stdio};

    use super::*;
    use crate::process::testing::{EndsAtDrop, wake};

    /// A program that a dead monitor left behind.
    fn left_behind(script: &str) -> (WakeId, Child, EndsAtDrop) {
        let wake = wake("chat-1", "").id;
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env(WAKE_VARIABLE, wake.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        (wake, child, EndsAtDrop(wake))
    }

    #[test]
    fn a_program_that_ends_in_time_gets_no_signal() {
        let (wake, mut child, _end) = left_behind("echo; read line; exit 7");
        assert_eq!(
            running_processes_of(wake).iter().map(|process| process.pid).collect::<Vec<_>>(),
            [child.id()]
        );
        let waiting = std::thread::spawn(move || {
            wait_for_stale_processes(wake, Instant::now() + Duration::from_secs(600));
            running_processes_of(wake)
        });
        // The program exits at the end of its input.
        drop(child.stdin.take());
        assert_eq!(waiting.join().unwrap(), []);
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn a_program_gets_sigterm_at_the_deadline() {
        let (wake, mut child, _end) = left_behind("trap 'exit 8' TERM; echo; read line");
        wait_for_stale_processes_with(wake, Instant::now(), Duration::from_secs(600));
        assert_eq!(running_processes_of(wake), []);
        assert_eq!(child.wait().unwrap().code(), Some(8));
    }

    #[test]
    fn a_program_that_ignores_sigterm_is_killed() {
        let (wake, mut child, _end) = left_behind("trap '' TERM; echo; exec sleep 600");
        wait_for_stale_processes_with(wake, Instant::now(), Duration::ZERO);
        assert_eq!(running_processes_of(wake), []);
        assert_eq!(child.wait().unwrap(), ExitStatus::from_raw(9));
    }
}
