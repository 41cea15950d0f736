//! What homing promises, and how far a system lets it keep each promise. Each system has the same promises in its own
//! `guarantees.rs`.

/// One promise on one system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// The promise.
    pub promise: &'static str,
    /// How far it holds.
    pub holds: Holds,
    /// Why, or where it does not hold.
    pub detail: &'static str,
}

/// How far a promise holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Always.
    Yes,
    /// Not in the cases that the detail names.
    Partly,
    /// Not on this system.
    No,
}

/// The promises, in the order of each list: the outcome of a job is recorded once; a job survives its launcher; a tree that
/// was ended is proved empty; no process leaves the tree; a killed supervisor leaves no process; processes are asked to
/// end before they are killed.
pub(super) const PROMISES: [&str; 6] =
    ["outcome kept", "detached", "tree empty", "no escape", "no orphans", "polite end"];
