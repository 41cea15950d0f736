//! The processes that this process starts: supervisors and monitors.

use homing_supervisor::platform::prefork::ForkedChild;
use homing_supervisor::platform::spawn::DetachedChild;

/// A supervisor or monitor that this process has started and has to reap.
#[derive(Debug)]
pub(crate) enum StartedProcess {
    /// A program.
    Program(DetachedChild),
    /// A fork of this process.
    Fork(ForkedChild),
}

impl StartedProcess {
    /// Reaps it if it has ended. Returns whether there is nothing left to reap.
    pub(crate) fn is_reaped(&mut self) -> bool {
        match self {
            StartedProcess::Program(child) => child.is_reaped(),
            StartedProcess::Fork(child) => child.is_reaped(),
        }
    }
}
