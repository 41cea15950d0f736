//! The service managers that can run a monitor for a user.

/// A service manager of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// The systemd user manager, on Linux.
    Systemd,
    /// launchd with user agents, on macOS.
    Launchd,
    /// The Task Scheduler, on Windows.
    TaskScheduler,
}
