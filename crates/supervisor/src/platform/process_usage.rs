//! What a process uses.

use std::time::Duration;

/// Processor time and memory of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Its processor time, in user mode and in the kernel.
    pub cpu: Duration,
    /// The processor time of its children that have ended and that it has waited for, and of theirs. Windows does not
    /// count it: zero.
    pub ended_children: Duration,
    /// Its memory that is in RAM, in bytes. Memory that processes share counts in each of them.
    pub memory_bytes: u64,
}
