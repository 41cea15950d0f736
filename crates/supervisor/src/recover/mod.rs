//! What other processes do for a job whose supervisor died, or whose directory was removed: find its processes by
//! evidence, verify each one, and end it.

pub(crate) mod marked_processes;
pub(crate) mod orphans;
pub(crate) mod unlinked;
