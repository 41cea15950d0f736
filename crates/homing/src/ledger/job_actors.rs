//! Who launched, started and ended a job, as its spec and its record say. Reads no table.

use homing_core::{Actor, ActorKind, KilledBy, Outcome};
use homing_supervisor::{SpecFile, StartedRecord};

use crate::store::observe::JobSnapshot;

/// The session that launched a job. The spec does not name the process.
pub(super) fn actor_of_launch(spec: &SpecFile) -> Actor {
    let mut actor = Actor::of(ActorKind::Session).for_session(spec.session.clone());
    actor.uid = spec.launched_from.as_ref().map(|launcher| launcher.uid);
    actor
}

/// The supervisor that started the command.
pub(super) fn actor_of_start(started: &StartedRecord) -> Actor {
    let mut actor = Actor::of(ActorKind::Supervisor);
    actor.uid = Some(started.run_by.uid);
    actor.pid = Some(started.supervisor.pid);
    actor
}

/// Who ended a job: the origin of the kill, or else its supervisor, which recorded the end. `None` if its supervisor did
/// not, or if it has not ended: then the process that concludes it is the actor.
pub(super) fn actor_of_end(snapshot: &JobSnapshot) -> Option<Actor> {
    Some(match &snapshot.finished.as_ref()?.end.outcome {
        Outcome::Killed { by: KilledBy::Session } => {
            Actor::of(ActorKind::Session).for_session(snapshot.spec.session.clone())
        }
        Outcome::Killed { by: KilledBy::Operator } => Actor::of(ActorKind::Operator),
        Outcome::Killed { by: KilledBy::Outside } => Actor::of(ActorKind::Outside),
        Outcome::Killed { by: KilledBy::ServiceManager } => Actor::of(ActorKind::ServiceManager),
        Outcome::Exited { .. }
        | Outcome::Signaled { .. }
        | Outcome::TimedOut
        | Outcome::FailedToStart { .. } => {
            snapshot.started.as_ref().map_or_else(|| Actor::of(ActorKind::Supervisor), actor_of_start)
        }
        Outcome::Lost { .. } => return None,
    })
}
