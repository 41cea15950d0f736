//! The files of a job, and of the home around it: the contract between launchers, supervisors and readers. Two
//! versions of the program may share a home, so what these files contain changes only with a new format version.

pub(crate) mod directory;
pub(crate) mod documents;
pub(crate) mod error;
pub(crate) mod job_lock;
pub mod layout;
pub mod output;
pub(crate) mod record;
pub(crate) mod run_by;
pub(crate) mod slots;
pub(crate) mod spec;
