//! How far Windows lets homing keep its promises. docs/platforms.md has the same table.

use super::super::guarantee::{Guarantee, Holds, PROMISES};
use super::super::service_kind::ServiceKind;

static GUARANTEES: [Guarantee; 6] = [
    Guarantee {
        promise: PROMISES[0],
        holds: Holds::Yes,
        detail: "the supervisor waits for the main process and writes its end durably",
    },
    Guarantee {
        promise: PROMISES[1],
        holds: Holds::Partly,
        detail: "the supervisor leaves the launcher's job object, unless that job object forbids it",
    },
    Guarantee {
        promise: PROMISES[2],
        holds: Holds::Yes,
        detail: "the tree is a job object: it has ended when no process is in it",
    },
    Guarantee {
        promise: PROMISES[3],
        holds: Holds::Partly,
        detail: "every process that the tree starts is in its job object; services, scheduled tasks, WMI and WSL start \
                 processes outside",
    },
    Guarantee {
        promise: PROMISES[4],
        holds: Holds::Yes,
        detail: "the system ends the whole job object when the supervisor's handle of it is closed",
    },
    Guarantee {
        promise: PROMISES[5],
        holds: Holds::Partly,
        detail: "CTRL_BREAK, which reaches console programs only, then the end of the job object after the grace period",
    },
];

/// Returns the promises on this system.
pub fn guarantees() -> &'static [Guarantee] {
    &GUARANTEES
}

/// Returns the service manager that runs a monitor for a user.
pub fn service_kind() -> ServiceKind {
    ServiceKind::TaskScheduler
}
