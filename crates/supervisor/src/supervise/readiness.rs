//! What a supervisor does before it knows its job.

use std::fs::File;
use std::io;

use crate::disk::run_by::RunBy;
use crate::platform::ProcessIdentity;
use crate::platform::events::SupervisorEvents;
use crate::platform::file::open_null;
use crate::platform::placement::Placement;

/// A detached supervisor that can supervise any job. Errors are reported when it has one.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// Where it runs.
    pub(crate) placement: Placement,
    /// Its events. A request to end the job that arrives before the job has started is not lost.
    pub(crate) events: io::Result<SupervisorEvents>,
    /// The null device.
    pub(crate) null: io::Result<File>,
    /// The process, for the record.
    pub(crate) supervisor: SupervisorProcess,
}

/// The process of a supervisor.
#[derive(Debug)]
pub(crate) struct SupervisorProcess {
    /// Machine, boot, pid namespace and user.
    pub(crate) run_by: io::Result<RunBy>,
    /// Which process it is; `None` if `/proc` does not show it.
    pub(crate) identity: Option<ProcessIdentity>,
}

impl Readiness {
    /// Makes this process ready. Leaves what the launcher would end with its own job.
    pub(crate) fn of_this_process() -> Readiness {
        Readiness {
            placement: Placement::of_this_process(),
            events: SupervisorEvents::open(),
            null: open_null(),
            supervisor: SupervisorProcess {
                run_by: RunBy::this_process(),
                identity: ProcessIdentity::of_this_process(),
            },
        }
    }
}
