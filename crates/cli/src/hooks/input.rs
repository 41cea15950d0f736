//! The input of a hook: one JSON object on standard input. Only a few keys are used.

use std::io::{self, Read};
use std::path::PathBuf;

use homing::SessionId;
use serde_json::Value;

/// Longest input, in bytes. It may contain the last message of the user or the agent.
const MAX_BYTES: u64 = 16 << 20;

/// The parsed input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookInput {
    /// The session.
    pub(crate) session: SessionId,
    /// The name of the event.
    pub(crate) event: String,
    /// The transcript of the conversation.
    pub(crate) transcript: Option<PathBuf>,
    /// Whether a hook has already kept the agent from stopping.
    pub(crate) stop_hook_active: bool,
    /// Whether the turn was aborted by the user or by an error.
    pub(crate) was_broken_off: bool,
    /// The wake that the plugin of homing confirms.
    pub(crate) wake: Option<String>,
}

/// Reads the input.
///
/// # Errors
/// A message for people, when the input is not readable or lacks a session id or an event.
pub(crate) fn read_input(from: impl Read) -> Result<HookInput, String> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error: io::Error| format!("cannot read standard input: {error}"))?;
    let input: Value =
        serde_json::from_slice(&bytes).map_err(|error| format!("standard input is not JSON: {error}"))?;
    let text = |keys: &[&str]| {
        keys.iter().find_map(|key| input[*key].as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let session = text(&["session_id", "conversation_id"]).ok_or("the input has no session id")?;
    Ok(HookInput {
        session: session.parse().map_err(|error: homing::core::IdError| error.to_string())?,
        event: text(&["hook_event_name", "event"]).ok_or("the input has no event name")?,
        transcript: text(&["transcript_path"]).map(PathBuf::from),
        stop_hook_active: input["stop_hook_active"] == true || input["loop_count"].as_u64() > Some(0),
        was_broken_off: text(&["status"]).is_some_and(|status| status != "completed"),
        wake: text(&["wake"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_inputs_are_parsed() {
        let claude = r#"{"session_id":"e4c06cd5-7b9a-489f-a7bb-b49b42db6127","transcript_path":"/t.jsonl","cwd":"/w","prompt_id":"78d408ee","permission_mode":"default","hook_event_name":"Stop","stop_hook_active":true,"last_assistant_message":"LAUNCHED","background_tasks":[],"session_crons":[]}"#;
        let input = read_input(claude.as_bytes()).unwrap();
        assert_eq!(input.session.as_str(), "e4c06cd5-7b9a-489f-a7bb-b49b42db6127");
        assert_eq!((input.event.as_str(), input.stop_hook_active), ("Stop", true));
        assert_eq!(input.transcript, Some(PathBuf::from("/t.jsonl")));
        let cursor = r#"{"conversation_id":"c","generation_id":"g","hook_event_name":"stop","status":"aborted","loop_count":0,"transcript_path":null}"#;
        let input = read_input(cursor.as_bytes()).unwrap();
        assert!(input.was_broken_off && !input.stop_hook_active && input.transcript.is_none());
        let goose = r#"{"event":"Stop","session_id":"20261122_1","last_assistant_message":"Done."}"#;
        assert_eq!(read_input(goose.as_bytes()).unwrap().event, "Stop");
    }

    #[test]
    fn invalid_input_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("[]", "no session"),
            (r#"{"session_id":"","event":"Stop"}"#, "no session"),
            (r#"{"session_id":"a\nb","event":"Stop"}"#, "session"),
            (r#"{"session_id":"a"}"#, "no event"),
        ] {
            let error = read_input(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
