//! `[[routes]]`: which sink wakes which session.

use homing_core::SessionId;
use serde::Deserialize;
use wildmatch::WildMatch;

/// `[[routes]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// `session = "chat-*"`: the sessions that match; `*` is any text, `?` any character. All sessions by default.
    pub session: Option<String>,
    /// `harness = "claude-code"`: only jobs that were launched from inside that harness.
    pub harness: Option<String>,
    /// `sink = "app"`: the sink that wakes them.
    pub sink: String,
}

impl RouteConfig {
    /// Whether this route matches a job of this session, launched from that harness.
    pub fn matches(&self, session: &SessionId, harness: Option<&str>) -> bool {
        let session_fits =
            self.session.as_ref().is_none_or(|pattern| WildMatch::new(pattern).matches(session.as_str()));
        let harness_fits = self.harness.as_ref().is_none_or(|wanted| harness == Some(wanted));
        session_fits && harness_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_matches_by_session_and_by_harness() {
        let route = |session: Option<&str>, harness: Option<&str>| RouteConfig {
            session: session.map(str::to_owned),
            harness: harness.map(str::to_owned),
            sink: "app".to_owned(),
        };
        let session: SessionId = "chat-7".parse().unwrap();
        let fits = |route: RouteConfig, harness| route.matches(&session, harness);
        assert!(fits(route(None, None), None));
        assert!(fits(route(Some("chat-*"), None), Some("codex")));
        assert!(fits(route(Some("chat-?"), Some("codex")), Some("codex")));
        assert!(!fits(route(Some("chat"), None), None));
        assert!(!fits(route(None, Some("codex")), None));
        assert!(!fits(route(Some("other-*"), Some("codex")), Some("codex")));
    }
}
