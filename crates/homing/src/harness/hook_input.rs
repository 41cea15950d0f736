//! The input of a hook: one JSON object, of which only a few keys are used.

use std::path::PathBuf;

use homing_core::SessionId;
use serde_json::Value;

use crate::{Error, Result};

/// The parsed input of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HookInput {
    /// The session.
    pub session: SessionId,
    /// The name of the event.
    pub event: String,
    /// The transcript of the conversation.
    pub transcript: Option<PathBuf>,
    /// Whether a hook has already kept the agent from stopping.
    pub stop_hook_active: bool,
    /// Whether the turn was aborted by the user or by an error.
    pub was_aborted: bool,
    /// The wake that the plugin of homing confirms.
    pub wake: Option<String>,
    /// The arguments of the call, before a tool.
    pub tool_input: Option<Value>,
}

/// The keys of the input of a hook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputKeys {
    /// The session id. The first existing key counts.
    pub(crate) session: &'static [&'static str],
    /// The name of the event. The first existing key counts.
    pub(crate) event: &'static [&'static str],
    /// The path of the transcript.
    pub(crate) transcript: &'static str,
    /// True, or a number above 0, if a hook has already kept the agent from stopping.
    pub(crate) stop_hook_active: &'static str,
    /// How the turn ended: `completed`, or something else if it was aborted.
    pub(crate) status: Option<&'static str>,
    /// The id of the wake that the plugin of homing confirms.
    pub(crate) wake: Option<&'static str>,
}

impl InputKeys {
    /// The keys of Claude Code, which others copied.
    pub(crate) const COMMON: InputKeys = InputKeys {
        session: &["session_id"],
        event: &["hook_event_name"],
        transcript: "transcript_path",
        stop_hook_active: "stop_hook_active",
        status: None,
        wake: None,
    };

    /// Parses the input.
    ///
    /// # Errors
    /// If it is not JSON, or lacks a valid session id or an event.
    pub(crate) fn parse(&self, bytes: &[u8]) -> Result<HookInput> {
        let invalid = |reason: &str| Error::InvalidRequest(reason.to_owned());
        let input: Value = serde_json::from_slice(bytes)
            .map_err(|error| invalid(&format!("standard input is not JSON: {error}")))?;
        let text = |key: &str| input[key].as_str().filter(|text| !text.is_empty());
        let first = |keys: &[&str]| keys.iter().find_map(|key| text(key));
        let stop_hook_active = &input[self.stop_hook_active];
        Ok(HookInput {
            session: first(self.session).ok_or_else(|| invalid("the input has no session id"))?.parse()?,
            event: first(self.event).ok_or_else(|| invalid("the input has no event name"))?.to_owned(),
            transcript: text(self.transcript).map(PathBuf::from),
            stop_hook_active: *stop_hook_active == true || stop_hook_active.as_u64() > Some(0),
            was_aborted: self.status.and_then(text).is_some_and(|status| status != "completed"),
            wake: self.wake.and_then(text).map(str::to_owned),
            tool_input: input.get("tool_input").cloned(),
        })
    }
}
