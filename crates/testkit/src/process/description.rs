//! What is known of a process.

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its arguments, joined by spaces.
    pub command_line: String,
    /// Its environment, as `NAME=value`.
    pub environment: Vec<String>,
}
