//! How far Linux lets homing keep its promises. docs/platforms.md has the same table.

use super::super::guarantee::{Guarantee, Holds, PROMISES};
use super::super::service_kind::ServiceKind;

static GUARANTEES: [Guarantee; 6] = [
    Guarantee {
        promise: PROMISES[0],
        holds: Holds::Yes,
        detail: "the supervisor reaps the main process and writes its end durably",
    },
    Guarantee {
        promise: PROMISES[1],
        holds: Holds::Yes,
        detail: "the supervisor leaves the launcher's session, process group and, with systemd, its service",
    },
    Guarantee {
        promise: PROMISES[2],
        holds: Holds::Yes,
        detail: "the supervisor is the subreaper of the tree: it has ended when no child is left (ECHILD)",
    },
    Guarantee {
        promise: PROMISES[3],
        holds: Holds::Yes,
        detail: "a process that forks twice or leaves its session becomes a child of the supervisor",
    },
    Guarantee {
        promise: PROMISES[4],
        holds: Holds::Yes,
        detail: "the main process dies with it; the next recovery searches for the rest and ends it",
    },
    Guarantee {
        promise: PROMISES[5],
        holds: Holds::Yes,
        detail: "SIGTERM, then SIGKILL after the grace period",
    },
];

/// Returns the promises on this system.
pub fn guarantees() -> &'static [Guarantee] {
    &GUARANTEES
}

/// Returns the service manager that runs a monitor for a user.
pub fn service_kind() -> ServiceKind {
    ServiceKind::Systemd
}
