//! Operations on jobs that read their directories and the ledger: launch, wait, kill, output.

pub(crate) mod follow;
pub(crate) mod kill;
pub(crate) mod launch;
pub(crate) mod output;
pub(crate) mod usage;
pub(crate) mod wait;
