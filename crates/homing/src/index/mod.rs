//! Keeps the ledger up to date with the jobs on disk, and changes what is recorded in it: ingest, recovery, pruning,
//! removal, acknowledgement. Finds and lists jobs.

pub(crate) mod acknowledge;
pub(crate) mod find;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod list_watch;
pub(crate) mod prune;
pub(crate) mod query;
pub(crate) mod recover;
pub(crate) mod remove;
pub(crate) mod report;
pub(crate) mod unfinished_watch;
