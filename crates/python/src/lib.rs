//! The extension `homing._homing`: the library as Python objects, without policy. The modules in `python/homing` are
//! the public interface.
//!
//! Threads of this crate never call into Python. They put messages into a queue and notify its reader, so the interpreter
//! can exit at any time.

mod bg_jobs;
mod errors;
mod events;
mod follow;
mod home;
mod interruption;
mod launch;
mod old_files;
mod old_processes;
mod waiter;
mod wakes;
mod watch;

use pyo3::prelude::*;

#[pymodule]
mod _homing {
    #[pymodule_export]
    use super::bg_jobs::{bg_import, bg_launch, bg_record, bg_records};
    #[pymodule_export]
    use super::events::EventWatch;
    #[pymodule_export]
    use super::follow::Follower;
    #[pymodule_export]
    use super::home::Home;
    #[pymodule_export]
    use super::old_files::{Lock, bg_lock, read_private, write_private};
    #[pymodule_export]
    use super::old_processes::{bg_end_processes, bg_has_processes, bg_is_supervised};
    #[pymodule_export]
    use super::waiter::{Source, Waiter};
    #[pymodule_export]
    use super::wakes::{Offer, WakeFeed};
    #[pymodule_export]
    use super::watch::{DeliveryHold, Watch};

    /// Version of the library.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
