//! Whose jobs these are: the session that the environment names.

use homing_core::SessionId;

use crate::Result;

/// Names the session; a job passes it on to what it runs.
pub const SESSION_VARIABLE: &str = "HOMING_SESSION";

/// What agent harnesses export to the commands they run, in the order in which they are believed.
const HARNESS_VARIABLES: [&str; 5] = [
    "CLAUDE_CODE_SESSION_ID",
    "CODEX_THREAD_ID",
    "AGENT_SESSION_ID",
    "LETTA_CONVERSATION_ID",
    "GEMINI_SESSION_ID",
];

/// The session that the environment names, `default` where it names none.
///
/// # Errors
/// When `HOMING_SESSION` is set to something that cannot be a session.
pub fn session_from_environment() -> Result<SessionId> {
    session_from(|name| std::env::var(name).ok())
}

fn session_from(variable: impl Fn(&str) -> Option<String>) -> Result<SessionId> {
    if let Some(session) = variable(SESSION_VARIABLE).filter(|text| !text.is_empty()) {
        return Ok(session.parse()?);
    }
    let harness = HARNESS_VARIABLES.iter().find_map(|name| variable(name)?.parse().ok());
    Ok(harness.unwrap_or_else(SessionId::default_session))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(variables: &[(&str, &str)]) -> Option<String> {
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        session_from(find).ok().map(String::from)
    }

    #[test]
    fn our_own_variable_comes_first_then_the_harness() {
        assert_eq!(session(&[]).as_deref(), Some("default"));
        assert_eq!(session(&[("CODEX_THREAD_ID", "c")]).as_deref(), Some("c"));
        assert_eq!(session(&[("CODEX_THREAD_ID", "c"), ("HOMING_SESSION", "h")]).as_deref(), Some("h"));
        assert_eq!(session(&[("HOMING_SESSION", ""), ("AGENT_SESSION_ID", "a")]).as_deref(), Some("a"));
    }

    #[test]
    fn a_session_that_cannot_be_is_an_error_and_no_guess() {
        assert_eq!(session(&[("HOMING_SESSION", "a\nb")]), None);
    }
}
