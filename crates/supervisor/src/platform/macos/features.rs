//! Detects kernel features.

use super::ProcessIdentity;
use super::kqueue::Kqueue;
use super::process;

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
    let me = std::process::id();
    let kqueue = Kqueue::new().is_ok();
    let identity = ProcessIdentity::of_this_process().is_some();
    let arguments = !process::arguments(me).is_empty();
    let open_files = process::open_files(me).is_ok();
    let feature = |name, available, required, detail| Feature { name, available, required, detail };
    vec![
        feature("kqueue", kqueue, true, "waits without polling"),
        feature("libproc", identity, true, "processes are identified by pid and start time"),
        feature(
            "process arguments",
            arguments,
            true,
            "finds supervisors, and processes of a job by their environment",
        ),
        feature("open files", open_files, false, "finds the holder of a lock"),
    ]
}
