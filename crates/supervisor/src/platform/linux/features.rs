//! Which of the kernel's features are there.

use rustix::process::{PidfdFlags, getpid, pidfd_open};

/// Something of the kernel that homing uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Whether it is there.
    pub available: bool,
    /// Whether nothing works without it.
    pub required: bool,
    /// What it is used for.
    pub detail: &'static str,
}

/// Looks for all of them.
pub fn look() -> Vec<Feature> {
    let pidfd = pidfd_open(getpid(), PidfdFlags::empty()).is_ok();
    let subreaper = rustix::process::child_subreaper().is_ok();
    let procfs = std::fs::metadata("/proc/self/stat").is_ok();
    let children = std::fs::metadata("/proc/thread-self/children").is_ok();
    let inotify = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).is_ok();
    let feature = |name, available, required, detail| Feature { name, available, required, detail };
    vec![
        feature("pidfd", pidfd, true, "a signal never reaches a stranger"),
        feature("subreaper", subreaper, true, "no process leaves its job's tree"),
        feature("procfs", procfs, true, "processes are told apart by their start time"),
        feature("children list", children, false, "finds a job's processes without a scan of all"),
        feature("inotify", inotify, false, "waits without asking again and again"),
    ]
}
