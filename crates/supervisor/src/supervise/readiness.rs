//! What a supervisor does before it knows its job.

use std::fs::File;
use std::io;

use crate::disk::run_by::RunBy;
use crate::platform::ProcessIdentity;
use crate::platform::cgroup::{OwnGroups, leave_foreign_job};
use crate::platform::file::open_null;
use crate::platform::signals::SignalQueue;

/// A detached supervisor that can supervise any job. Errors are reported when it has one.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// Its control groups.
    pub(crate) groups: OwnGroups,
    /// Its signals. A request to end the job that arrives before the job has started is not lost.
    pub(crate) signals: io::Result<SignalQueue>,
    /// The null device.
    pub(crate) null: io::Result<File>,
    /// The process, for the record.
    pub(crate) supervisor: SupervisorProcess,
}

/// The process of a supervisor.
#[derive(Debug)]
pub(crate) struct SupervisorProcess {
    /// Where it runs.
    pub(crate) run_by: io::Result<RunBy>,
    /// Which process it is; `None` if `/proc` does not show it.
    pub(crate) identity: Option<ProcessIdentity>,
}

impl Readiness {
    /// Makes this process ready. Leaves the control group of the launcher if that belongs to a job.
    pub(crate) fn of_this_process() -> Readiness {
        Readiness {
            groups: leave_foreign_job(),
            signals: SignalQueue::open(),
            null: open_null(),
            supervisor: SupervisorProcess {
                run_by: RunBy::this_process(),
                identity: ProcessIdentity::of_this_process(),
            },
        }
    }
}
