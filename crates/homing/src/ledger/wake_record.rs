//! The record of a wake and its attempts.

use homing_core::{JobId, Lease, SessionId, Timestamp, WakeId, WakeState};
use serde::Serialize;

/// One wake with its attempts.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WakeRecord {
    /// Its id, the idempotency key of its deliveries.
    pub id: WakeId,
    /// The session that it is delivered to.
    pub session: SessionId,
    /// The sink that delivers it. `None` if no route led to one: then only a claim delivers it.
    pub sink: Option<String>,
    /// Its state.
    #[serde(serialize_with = "state_name")]
    pub state: WakeState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it is tried next, or the deadline for its acknowledgement.
    pub next_at: Option<Timestamp>,
    /// The lease of the host that has it.
    pub lease: Option<Lease>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// The jobs whose results it carries, failures first.
    pub jobs: Vec<JobId>,
    /// The attempts to deliver it, the first one first.
    pub attempts: Vec<AttemptRecord>,
    /// The text that the agent reads.
    pub text: String,
}

/// One attempt to deliver a wake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// Its number, from 1.
    pub number: u32,
    /// The name of the host that leased it; `None` for a sink or a hook. Untrusted text.
    pub holder: Option<String>,
    /// When the sink or the host received it.
    pub started_at: Timestamp,
    /// When it was answered, or when its lease was found to have expired.
    pub ended_at: Option<Timestamp>,
    /// Its result: `delivered`, `handed_off`, `claimed` (shown by a hook of the session), `printed`
    /// (by `homing listen`), `busy`, `gone`, `failed`, `answer_lost` or `lease_expired`.
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

fn state_name<S: serde::Serializer>(state: &WakeState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
