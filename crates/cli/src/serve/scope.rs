//! What a token may do.

use std::fmt;
use std::str::FromStr;

use axum::http::Method;
use homing::SessionId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a token may do. A scope separates conversations from each other; it does not confine commands: a
/// token that may launch jobs can run any command as the user of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    Admin,
    /// Reads everything, and changes nothing.
    Read,
    /// The jobs of one session.
    Session(SessionId),
}

/// The paths below the API that a session may use, without the parts behind them.
const OF_SESSIONS: [&str; 7] =
    ["server", "jobs", "sessions", "follow-ups", "wakes", "events", "openapi.json"];

impl Scope {
    /// Whether a request may be made at all. `path` is below the base path. Routes of a session then see only its jobs.
    pub(super) fn allows(&self, method: &Method, path: &str) -> bool {
        let reads = *method == Method::GET || *method == Method::HEAD;
        match self {
            Scope::Admin => true,
            Scope::Read => reads && path != "/mcp",
            Scope::Session(_) => {
                path == "/mcp"
                    || path
                        .strip_prefix("/api/v1/")
                        .and_then(|rest| rest.split('/').next())
                        .is_some_and(|first| OF_SESSIONS.contains(&first))
            }
        }
    }

    /// The only session whose jobs are visible; `None` for all.
    pub(super) fn session(&self) -> Option<&SessionId> {
        match self {
            Scope::Session(session) => Some(session),
            Scope::Admin | Scope::Read => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Admin => f.write_str("admin"),
            Scope::Read => f.write_str("read"),
            Scope::Session(session) => write!(f, "session:{session}"),
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Scope, String> {
        match text {
            "admin" => Ok(Scope::Admin),
            "read" => Ok(Scope::Read),
            _ => match text.strip_prefix("session:") {
                Some(session) => session.parse().map(Scope::Session).map_err(|error| format!("{error}")),
                None => Err("use admin, read or session:NAME".to_owned()),
            },
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for name in ["admin", "read", "session:chat-1", "session:a:b"] {
            assert_eq!(name.parse::<Scope>().unwrap().to_string(), name);
        }
        for wrong in ["", "Admin", "session:", "session:a\nb", "write"] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_scope_allows_only_its_routes() {
        let session: Scope = "session:chat-1".parse().unwrap();
        for path in ["/mcp", "/api/v1/jobs", "/api/v1/jobs/3f9c/kill", "/api/v1/wakes/claim"] {
            assert!(session.allows(&Method::POST, path), "{path}");
            assert!(!Scope::Read.allows(&Method::POST, path), "{path}");
        }
        for path in
            ["/metrics", "/api/v1/config", "/api/v1/doctor", "/api/v1/agents", "/api/v1/jobsx", "/api/v1/"]
        {
            assert!(!session.allows(&Method::GET, path), "{path}");
            assert!(Scope::Read.allows(&Method::GET, path), "{path}");
        }
        assert!(!Scope::Read.allows(&Method::GET, "/mcp"));
    }
}
