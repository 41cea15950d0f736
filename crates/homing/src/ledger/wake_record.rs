//! The record of a wake and its attempts.

use homing_core::{JobId, SessionId, Timestamp, WakeId, WakeState};
use serde::Serialize;

/// One wake with its attempts.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WakeRecord {
    /// Its id, the idempotency key of its deliveries.
    pub id: WakeId,
    /// The session that it is delivered to.
    pub session: SessionId,
    /// The sink that delivers it.
    pub sink: String,
    /// Its state.
    #[serde(serialize_with = "state_name")]
    pub state: WakeState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it is tried next, or the deadline for its acknowledgement.
    pub next_at: Option<Timestamp>,
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
    /// When the sink received it.
    pub started_at: Timestamp,
    /// When the sink answered.
    pub ended_at: Option<Timestamp>,
    /// Its result: `delivered`, `handed_off`, `claimed` (shown by a hook of the session), `printed`
    /// (by `homing listen`), `busy`, `gone`, `failed`
    /// or `answer_lost`.
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

fn state_name<S: serde::Serializer>(state: &WakeState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
