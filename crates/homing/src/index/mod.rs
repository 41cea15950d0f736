//! Keeps the ledger up to date with the jobs on disk, and changes what is recorded in it: ingest, recovery, pruning,
//! acknowledgement.

pub(crate) mod acknowledge;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod prune;
pub(crate) mod query;
pub(crate) mod recover;
pub(crate) mod report;
