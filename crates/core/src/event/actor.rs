//! Actors: who caused an event.

use serde::{Deserialize, Serialize};

use crate::SessionId;

/// Who caused an event. What is not known is `None`: a record says that a session killed its job, but not by which
/// process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Actor {
    /// The kind of actor.
    pub kind: ActorKind,
    /// The effective user id of the process; on Windows the last part of the user's SID.
    pub uid: Option<u32>,
    /// The process id.
    pub pid: Option<u32>,
    /// The session that it acted for. A process names it itself.
    pub session: Option<SessionId>,
    /// The name of the access token of a request to a server.
    pub token: Option<String>,
    /// The name of the program. Any text: the process chooses it.
    pub program: Option<String>,
}

/// A kind of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActorKind {
    /// A process that uses homing: a command, a hook, a server, a host.
    Process,
    /// A request to a server, with an access token.
    Token,
    /// A monitor.
    Monitor,
    /// The supervisor of the job.
    Supervisor,
    /// The session of the job.
    Session,
    /// Another caller of homing, unknown which.
    Operator,
    /// A signal that another program sent, or the removal of the job's directory.
    Outside,
    /// The service manager of the system or the user.
    ServiceManager,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [ActorKind; 8] = [
        ActorKind::Process,
        ActorKind::Token,
        ActorKind::Monitor,
        ActorKind::Supervisor,
        ActorKind::Session,
        ActorKind::Operator,
        ActorKind::Outside,
        ActorKind::ServiceManager,
    ];

    /// Returns the name in JSON and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            ActorKind::Process => "process",
            ActorKind::Token => "token",
            ActorKind::Monitor => "monitor",
            ActorKind::Supervisor => "supervisor",
            ActorKind::Session => "session",
            ActorKind::Operator => "operator",
            ActorKind::Outside => "outside",
            ActorKind::ServiceManager => "service_manager",
        }
    }

    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<ActorKind> {
        ActorKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Actor {
    /// Creates an actor of which only the kind is known.
    pub fn of(kind: ActorKind) -> Actor {
        Actor { kind, uid: None, pid: None, session: None, token: None, program: None }
    }

    /// Creates the actor for requests with the access token of this name.
    pub fn token(name: impl Into<String>) -> Actor {
        Actor { token: Some(name.into()), ..Actor::of(ActorKind::Token) }
    }

    /// Sets the session that it acts for.
    #[must_use]
    pub fn for_session(self, session: SessionId) -> Actor {
        Actor { session: Some(session), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_name_each() {
        for kind in ActorKind::ALL {
            assert_eq!(ActorKind::from_name(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
