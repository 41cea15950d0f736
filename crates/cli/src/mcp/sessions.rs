//! Determines the session of a request. The setting of the user comes first, then the metadata of the request, then
//! the environment of this process: one server may serve several conversations of its client.

use homing::harness::{McpSession, Profile, SESSION_ARGUMENT};
use homing::{Origin, SESSION_VARIABLE, SessionId};
use rmcp::model::{JsonObject, RequestMetaObject};

/// Maps requests to sessions.
#[derive(Clone, Debug)]
pub(crate) struct SessionRule {
    fixed: Option<Origin>,
    fallback: Origin,
    /// Whether requests see jobs of all sessions.
    pub(super) sees_all: bool,
}

/// The keys under which clients name their conversation in the metadata of a request, with the harness whose preset
/// notifies such a session. The key of homing comes first, for hosts that support it.
fn meta_keys() -> impl Iterator<Item = (McpSession, Option<&'static str>)> {
    let key = |key| (McpSession { key, client: None }, None);
    let of_harness = |profile: &'static Profile| Some((profile.session.mcp?, Some(profile.name)));
    // VS Code, src/vs/workbench/contrib/mcp.
    let vs_code = key("vscode.conversationId");
    [key("homing/session")].into_iter().chain(Profile::all().filter_map(of_harness)).chain([vs_code])
}

impl SessionRule {
    /// For a client that started this process. Its harness may have exported the session.
    pub(crate) fn for_parent(session: Option<SessionId>, sees_all: bool) -> homing::Result<SessionRule> {
        Ok(SessionRule { fixed: fixed(session)?, fallback: Origin::from_environment(None)?, sees_all })
    }

    /// For clients over HTTP. Ignores the environment of a harness: it does not describe these clients.
    pub(crate) fn for_anybody(session: Option<SessionId>, sees_all: bool) -> homing::Result<SessionRule> {
        let fallback = Origin { session: SessionId::default_session(), harness: None };
        Ok(SessionRule { fixed: fixed(session)?, fallback, sees_all })
    }

    /// The session of a request with this metadata from a client with this name.
    pub(super) fn origin(&self, meta: &RequestMetaObject, client: Option<&str>) -> Origin {
        let fixed = self.fixed.clone();
        fixed.or_else(|| origin_in(meta, client)).unwrap_or_else(|| self.fallback.clone())
    }
}

/// Moves the session that a hook or a plugin of homing named in the arguments of a call into the metadata of the request.
pub(super) fn move_session(arguments: &mut JsonObject, meta: &mut RequestMetaObject) {
    if let Some(session) = arguments.remove(SESSION_ARGUMENT) {
        meta.insert(SESSION_ARGUMENT.to_owned(), session);
    }
}

/// The session that the user set, with an option or with `HOMING_SESSION`.
fn fixed(session: Option<SessionId>) -> homing::Result<Option<Origin>> {
    let is_set = std::env::var(SESSION_VARIABLE).is_ok_and(|text| !text.is_empty());
    (session.is_some() || is_set).then(|| Origin::from_environment(session)).transpose()
}

fn origin_in(meta: &RequestMetaObject, client: Option<&str>) -> Option<Origin> {
    meta_keys().find_map(|(known, harness)| {
        let session: SessionId = meta.get(known.key)?.as_str()?.parse().ok()?;
        let client_matches =
            known.client.is_none_or(|name| client.is_some_and(|client| client.contains(name)));
        client_matches.then(|| Origin { session, harness: harness.map(str::to_owned) })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn origin_of(session: &str) -> Origin {
        Origin { session: session.parse().unwrap(), harness: None }
    }

    fn origin(fixed: Option<&str>, meta: serde_json::Value, client: &str) -> (String, Option<String>) {
        let (fixed, fallback) = (fixed.map(origin_of), origin_of("default"));
        let rule = SessionRule { fixed, fallback, sees_all: false };
        let meta: RequestMetaObject = serde_json::from_value(meta).unwrap();
        let origin = rule.origin(&meta, Some(client));
        (origin.session.into(), origin.harness)
    }

    #[test]
    fn the_user_setting_comes_before_the_metadata_of_the_request() {
        let codex = || json!({"threadId": "t-1"});
        assert_eq!(origin(None, codex(), "codex-mcp-client"), ("t-1".into(), Some("codex".into())));
        assert_eq!(origin(Some("mine"), codex(), "codex-mcp-client"), ("mine".into(), None));
        assert_eq!(origin(None, json!({}), "codex-mcp-client"), ("default".into(), None));
    }

    #[test]
    fn a_common_key_is_used_only_from_its_client() {
        assert_eq!(origin(None, json!({"threadId": "t-1"}), "mail"), ("default".into(), None));
        let goose = json!({"agent-session-id": "20261122_1"});
        assert_eq!(origin(None, goose, "goose"), ("20261122_1".into(), Some("goose".into())));
        let meta = json!({"homing/session": "chat-1", "agent-session-id": "x"});
        assert_eq!(origin(None, meta, "a host"), ("chat-1".into(), None));
    }

    #[test]
    fn the_session_in_the_arguments_is_used_for_the_harness_of_the_client() {
        let mut arguments =
            json!({"command": "true", "homing_session": "ses_1"}).as_object().unwrap().clone();
        let mut meta = RequestMetaObject::default();
        move_session(&mut arguments, &mut meta);
        assert_eq!(serde_json::Value::Object(arguments), json!({"command": "true"}));
        let rule = SessionRule { fixed: None, fallback: origin_of("default"), sees_all: false };
        let origin = rule.origin(&meta, Some("opencode"));
        assert_eq!((origin.session.as_str(), origin.harness.as_deref()), ("ses_1", Some("opencode")));
        assert_eq!(rule.origin(&meta, Some("mail")).session.as_str(), "default");
    }

    #[test]
    fn invalid_session_ids_are_ignored() {
        let meta = json!({"homing/session": "a\nb", "agent-session-id": 7});
        assert_eq!(origin(None, meta, "goose"), ("default".into(), None));
    }
}
