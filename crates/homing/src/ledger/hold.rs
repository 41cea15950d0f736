//! Why undelivered follow-ups wait, by route.

use homing_core::Timestamp;

/// The properties of a job that select its sink within a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteKey {
    /// The sink that the job names.
    pub(crate) sink: Option<String>,
    /// The harness that the job was launched from.
    pub(crate) harness: Option<String>,
}

/// Why undelivered follow-ups wait, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) until: Option<Timestamp>,
    pub(crate) reason: String,
}
