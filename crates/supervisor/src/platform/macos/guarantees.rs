//! How far macOS lets homing keep its promises. docs/platforms.md has the same table.

use super::super::guarantee::{Guarantee, Holds, PROMISES};
use super::super::service_kind::ServiceKind;

/// Returns the promises on this system.
pub fn guarantees() -> &'static [Guarantee] {
    const DETAILS: [(Holds, &str); 6] = [
        (Holds::Yes, "the supervisor reaps the main process and writes its end durably (F_FULLFSYNC)"),
        (
            Holds::Yes,
            "the supervisor leaves the launcher's session and process group, which launchd ends with a service",
        ),
        (
            Holds::Partly,
            "the supervisor searches by session, process group, HOMING_JOB and parents; it cannot prove that it finds all",
        ),
        (
            Holds::Partly,
            "a process escapes if it leaves its session and its parents, and its environment is changed or hidden by the system",
        ),
        (Holds::Partly, "the job keeps running; the next recovery searches for its processes and ends them"),
        (Holds::Yes, "SIGTERM, then SIGKILL after the grace period"),
    ];
    const ALL: [Guarantee; 6] = {
        let mut all = [Guarantee { promise: "", holds: Holds::Yes, detail: "" }; 6];
        let mut at = 0;
        while at < all.len() {
            all[at].promise = PROMISES[at];
            (all[at].holds, all[at].detail) = DETAILS[at];
            at += 1;
        }
        all
    };
    &ALL
}

/// Returns the service manager that runs a monitor for a user.
pub fn service_kind() -> ServiceKind {
    ServiceKind::Launchd
}
