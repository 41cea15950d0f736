//! Jobs on disk and their processes: launches, observes, waits, kills and reads. None of this needs the ledger.

pub(crate) mod background;
pub(crate) mod home;
pub(crate) mod job_store;
pub(crate) mod keyed;
pub(crate) mod kill;
pub(crate) mod launch;
pub(crate) mod observe;
pub(crate) mod output;
pub(crate) mod preforked;
pub(crate) mod prepare;
pub(crate) mod program;
pub(crate) mod recover;
pub(crate) mod service_warning;
pub(crate) mod set_aside;
pub(crate) mod spec;
pub(crate) mod started;
pub(crate) mod supervisor_process;
pub(crate) mod unreadable;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod watcher;
