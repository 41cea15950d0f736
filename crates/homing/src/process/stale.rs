//! What is still at work for an attempt whose monitor died. A program outlives the monitor that started it, and may
//! yet do what it was started for; a second one beside it would talk to the same session at the same time.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use homing_core::WakeId;
use homing_supervisor::platform::ProcessIdentity;
use homing_supervisor::platform::clock::timespec;
use homing_supervisor::{end_marked_processes, processes_carrying};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::harness::WAKE_VARIABLE;

/// How long a program has between SIGTERM and SIGKILL once its time is over.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Before looking again after a look that came to nothing.
const PAUSE: Duration = Duration::from_millis(20);

/// The processes that still run for a wake: the sink's program of any attempt, and what it started, except for jobs.
///
/// After a sink's program has ended by itself, these are what it left running on purpose, such as a server.
pub(crate) fn still_at_work(wake: WakeId) -> Vec<ProcessIdentity> {
    processes_carrying(&carried(wake))
}

/// Waits until nothing is [`still_at_work`] for a wake. At `deadline` the rest is ended: by SIGTERM, and five seconds
/// later by SIGKILL. Afterwards a new attempt meets none of an old one, except for a process that hangs in the kernel.
///
/// Blocks until then. Returns at once where nothing is at work, and may be repeated.
pub(crate) fn wait_for_stale_processes(wake: WakeId, deadline: Instant) {
    wait_for_stale_processes_with(wake, deadline, GRACE);
}

fn wait_for_stale_processes_with(wake: WakeId, deadline: Instant, grace: Duration) {
    if all_end_by(wake, deadline) {
        return;
    }
    for process in still_at_work(wake) {
        // A process that is gone is what we want.
        let _ = process.signal(Signal::TERM);
        let _ = process.signal(Signal::CONT);
    }
    if !all_end_by(wake, Instant::now() + grace) {
        let _ = end_marked_processes(&carried(wake));
    }
}

/// Answers whether nothing is left before the deadline.
fn all_end_by(wake: WakeId, deadline: Instant) -> bool {
    loop {
        let found = still_at_work(wake);
        // The oldest is the program itself, or what lives longest of it: little else is worth waking up for.
        let Some(oldest) = found.iter().min_by_key(|process| (process.start_ticks, process.pid)) else {
            return true;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        match oldest.open() {
            Ok(handle) => drop(ends_within(handle.as_fd(), left)),
            Err(_) => std::thread::sleep(PAUSE.min(left)),
        }
    }
}

/// Waits until the process of the handle has ended, at most that long. Answers whether it has.
pub(crate) fn ends_within(handle: BorrowedFd<'_>, timeout: Duration) -> bool {
    let deadline = Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], left.map(timespec).as_ref()) {
            Ok(count) => return count > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// The variable by which the processes of a wake are found.
pub(crate) fn carried(wake: WakeId) -> String {
    format!("{WAKE_VARIABLE}={wake}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, ExitStatus, Stdio};

    use super::*;
    use crate::process::testing::{EndsAtDrop, wake};

    /// A program as a monitor that died has left it: nobody of us attends to it.
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
    fn a_program_that_ends_in_time_is_waited_for_and_left_alone() {
        let (wake, mut child, _end) = left_behind("echo; read line; exit 7");
        assert_eq!(still_at_work(wake).iter().map(|process| process.pid).collect::<Vec<_>>(), [child.id()]);
        let waiting = std::thread::spawn(move || {
            wait_for_stale_processes(wake, Instant::now() + Duration::from_secs(600));
            still_at_work(wake)
        });
        // Its input ends, and so does it.
        drop(child.stdin.take());
        assert_eq!(waiting.join().unwrap(), []);
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn what_outlives_the_deadline_is_asked_to_end() {
        let (wake, mut child, _end) = left_behind("trap 'exit 8' TERM; echo; read line");
        wait_for_stale_processes_with(wake, Instant::now(), Duration::from_secs(600));
        assert_eq!(still_at_work(wake), []);
        assert_eq!(child.wait().unwrap().code(), Some(8));
    }

    #[test]
    fn what_does_not_want_to_end_is_ended() {
        let (wake, mut child, _end) = left_behind("trap '' TERM; echo; exec sleep 600");
        wait_for_stale_processes_with(wake, Instant::now(), Duration::ZERO);
        assert_eq!(still_at_work(wake), []);
        assert_eq!(child.wait().unwrap(), ExitStatus::from_raw(9));
    }
}
