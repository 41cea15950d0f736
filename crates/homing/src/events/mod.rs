//! The events of a home for its readers: pages of the log, and a watch that says when to read on. The ledger records them
//! (`ledger/writer.rs`).

pub(crate) mod page;
pub(crate) mod watch;
