//! Finds the origin of a job: the session that the environment names, and its harness.

use homing_core::SessionId;

use super::registry::{harness_variables, session_variables};
use crate::Result;

/// Names the session. Jobs pass it on to their processes.
pub const SESSION_VARIABLE: &str = "HOMING_SESSION";

/// Names the harness of the session in `HOMING_SESSION`.
pub const HARNESS_VARIABLE: &str = "HOMING_HARNESS";

/// Names the wake of a sink's program, and marks its processes. Not passed on to jobs.
pub(crate) const WAKE_VARIABLE: &str = "HOMING_WAKE";

/// The origin of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The session that receives its result.
    pub session: SessionId,
    /// The agent harness of the session, if known. It determines how the session is woken.
    pub harness: Option<String>,
}

impl Origin {
    /// Reads the origin from the environment. `session` overrides the session of the environment.
    ///
    /// # Errors
    /// If `HOMING_SESSION` is not a valid session id.
    pub fn from_environment(session: Option<SessionId>) -> Result<Origin> {
        Ok(Origin::named(session)?.unwrap_or_else(Origin::of_default_session))
    }

    /// As [`Origin::from_environment`], but `None` if neither the argument nor the environment names a session.
    ///
    /// # Errors
    /// As [`Origin::from_environment`].
    pub fn named(session: Option<SessionId>) -> Result<Option<Origin>> {
        origin_from(session, |name| std::env::var(name).ok().filter(|text| !text.is_empty()))
    }

    fn of_default_session() -> Origin {
        Origin { session: SessionId::default_session(), harness: None }
    }
}

/// The session that the environment names, or `default` if it names none.
///
/// # Errors
/// If `HOMING_SESSION` is not a valid session id.
pub fn session_from_environment() -> Result<SessionId> {
    Ok(Origin::from_environment(None)?.session)
}

/// Whether an agent harness has started this process, directly or through a job: a variable says so that harnesses set for
/// their commands.
pub fn is_active() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set(HARNESS_VARIABLE) || harness_variables().any(is_set)
}

fn origin_from(
    session: Option<SessionId>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Origin>> {
    let mut harnesses = session_variables().filter_map(|(name, harness)| {
        let session: SessionId = variable(name)?.parse().ok()?;
        Some((session, harness.to_owned()))
    });
    let own = variable(SESSION_VARIABLE).map(|text| text.parse()).transpose()?;
    let named = own.clone().filter(|own| session.as_ref().is_none_or(|session| session == own));
    if let (Some(session), Some(harness)) = (named, variable(HARNESS_VARIABLE)) {
        return Ok(Some(Origin { session, harness: Some(harness) }));
    }
    Ok(match session.or(own) {
        // The host's session id is not the harness's, so only routes by session apply.
        Some(session) => {
            let harness = harnesses.find(|(theirs, _)| *theirs == session).map(|(_, harness)| harness);
            Some(Origin { session, harness })
        }
        None => harnesses.next().map(|(session, harness)| Origin { session, harness: Some(harness) }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(session: Option<&str>, variables: &[(&str, &str)]) -> Option<(String, Option<String>)> {
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let find = |name: &str| find(name).filter(|text| !text.is_empty());
        let named = origin_from(session.map(|text| text.parse().unwrap()), find).ok()?;
        let origin = named.unwrap_or_else(Origin::of_default_session);
        Some((origin.session.into(), origin.harness))
    }

    fn some(session: &str, harness: Option<&str>) -> Option<(String, Option<String>)> {
        Some((session.to_owned(), harness.map(str::to_owned)))
    }

    #[test]
    fn homing_session_has_precedence_over_harness_variables() {
        let codex = ("CODEX_THREAD_ID", "c");
        assert_eq!(origin(None, &[]), some("default", None));
        assert_eq!(origin(None, &[codex]), some("c", Some("codex")));
        assert_eq!(origin(None, &[codex, ("HOMING_SESSION", "h")]), some("h", None));
        assert_eq!(origin(None, &[codex, ("HOMING_SESSION", "c")]), some("c", Some("codex")));
        let empty = ("HOMING_SESSION", "");
        assert_eq!(origin(None, &[empty, ("AGENT_SESSION_ID", "a")]), some("a", Some("goose")));
    }

    #[test]
    fn an_explicit_session_wins_and_keeps_its_harness() {
        let inside = [("HOMING_SESSION", "ses_1"), ("HOMING_HARNESS", "opencode")];
        assert_eq!(origin(None, &inside), some("ses_1", Some("opencode")));
        assert_eq!(origin(Some("ses_1"), &inside), some("ses_1", Some("opencode")));
        assert_eq!(origin(Some("other"), &inside), some("other", None));
        assert_eq!(origin(Some("c"), &[("CODEX_THREAD_ID", "c")]), some("c", Some("codex")));
    }

    #[test]
    fn the_default_session_is_not_named() {
        assert_eq!(origin_from(None, |_| None).unwrap(), None);
        let named = origin_from(None, |name| (name == SESSION_VARIABLE).then(|| "default".to_owned()));
        assert_eq!(named.unwrap(), Some(Origin::of_default_session()));
    }

    #[test]
    fn an_invalid_session_id_is_an_error() {
        assert_eq!(origin(None, &[("HOMING_SESSION", "a\nb")]), None);
    }
}
