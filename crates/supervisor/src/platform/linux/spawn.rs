//! Options of started programs that the standard library offers for some systems only, and how they ended.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

/// Gives the program another name in lists of processes (its `argv[0]`).
pub fn set_name<'a>(command: &'a mut Command, name: &str) -> &'a mut Command {
    command.arg0(name)
}

/// Makes the program the leader of its own process group ([`ProcessGroup`](super::process::ProcessGroup)).
pub fn own_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Returns the signal that ended a program; `None` if it exited by itself.
pub fn ending_signal(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Leaves the session and the terminal of the process that started this one. Does nothing if this process already
/// leads a session.
pub fn leave_session() {
    let _ = rustix::process::setsid();
}
