//! The processes that this process starts: supervisors and monitors.

use std::process::Child;

use homing_supervisor::platform::detach::ForkedChild;

/// A supervisor or monitor that this process has started and has to reap.
#[derive(Debug)]
pub(crate) enum StartedProcess {
    /// A program.
    Program(Child),
    /// A fork of this process.
    Fork(ForkedChild),
}

impl StartedProcess {
    /// Reaps it if it has ended. Returns whether there is nothing left to reap.
    pub(crate) fn is_reaped(&mut self) -> bool {
        match self {
            // An error means that another thread has reaped it.
            StartedProcess::Program(child) => !matches!(child.try_wait(), Ok(None)),
            StartedProcess::Fork(child) => child.is_reaped(),
        }
    }
}
