//! Detects kernel features.

use rustix::process::{PidfdFlags, getpid, pidfd_open};

/// A kernel feature that homing uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Whether the kernel has it.
    pub available: bool,
    /// Whether homing requires it.
    pub required: bool,
    /// The benefit of the feature.
    pub detail: &'static str,
}

/// Detects all features.
pub fn detect() -> Vec<Feature> {
    let pidfd = pidfd_open(getpid(), PidfdFlags::empty()).is_ok();
    let subreaper = rustix::process::child_subreaper().is_ok();
    let procfs = std::fs::metadata("/proc/self/stat").is_ok();
    let children = std::fs::metadata("/proc/thread-self/children").is_ok();
    let inotify = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).is_ok();
    let feature = |name, available, required, detail| Feature { name, available, required, detail };
    vec![
        feature("pidfd", pidfd, true, "signals never reach an unrelated process"),
        feature("subreaper", subreaper, true, "processes cannot leave the tree of their job"),
        feature("procfs", procfs, true, "processes are identified by pid and start time"),
        feature("children list", children, false, "finds the processes of a job without a full scan"),
        feature("inotify", inotify, false, "waits without polling"),
    ]
}
