//! The event types that are offered, and the data of their events. Few: what an agent that waits for its jobs can use.
//! Their descriptions and schemas are in `events.json`.

use homing::core::text::one_line;
use homing::{Event, EventKind, Outcome};
use rmcp::model::JsonObject;
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest name of a job, in characters. Names are untrusted text.
const MAX_NAME_CHARS: usize = 200;

/// The argument that needs a server for all sessions.
const ALL_SESSIONS: &str = "all_sessions";

/// An event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventType {
    JobStarted,
    JobFinished,
    FollowUpChanged,
}

impl EventType {
    /// In the order of `events.json`.
    const ALL: [EventType; 3] = [EventType::JobStarted, EventType::JobFinished, EventType::FollowUpChanged];

    pub(super) fn name(self) -> &'static str {
        match self {
            EventType::JobStarted => "job.started",
            EventType::JobFinished => "job.finished",
            EventType::FollowUpChanged => "follow_up.changed",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<EventType> {
        EventType::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The names of all types, for an error message.
    pub(super) fn names() -> String {
        EventType::ALL.map(EventType::name).join(", ")
    }

    /// The data of an event of this type; `None` if the event is of another type.
    pub(super) fn data(self, event: &Event) -> Option<Value> {
        let (of, facts) = facts(&event.event)?;
        if of != self {
            return None;
        }
        let name = event.name.as_deref().map(|name| one_line(name, MAX_NAME_CHARS));
        let actor = &event.actor;
        let mut data = json!({
            "job_id": event.job?,
            "session": event.session.as_ref()?,
            "name": name,
            "actor": {"kind": actor.kind, "session": actor.session, "token": actor.token},
        });
        if of == EventType::FollowUpChanged {
            data["wake_id"] = json!(event.wake);
        }
        data.as_object_mut()?.extend(facts);
        Some(data)
    }
}

/// The type of an event, and the facts that only this type has. `None` for events that are not offered.
fn facts(kind: &EventKind) -> Option<(EventType, JsonObject)> {
    let (of, facts) = match kind {
        EventKind::JobStarted => (EventType::JobStarted, json!({"corrected": false})),
        // It was reported as lost, and still runs.
        EventKind::JobCorrected { outcome: None } => (EventType::JobStarted, json!({"corrected": true})),
        EventKind::JobFinished { outcome } => (EventType::JobFinished, ending(outcome, false)),
        EventKind::JobCorrected { outcome: Some(outcome) } => (EventType::JobFinished, ending(outcome, true)),
        EventKind::FollowUp { from, to } => (EventType::FollowUpChanged, json!({"from": from, "to": to})),
        // Wakes and monitors are the operator's; jobs that were seen or deleted need no reaction.
        _ => return None,
    };
    match facts {
        Value::Object(facts) => Some((of, facts)),
        _ => None,
    }
}

/// How a job ended, as in the facts that tools answer with.
fn ending(outcome: &Outcome, corrected: bool) -> Value {
    let exit_code = match outcome {
        Outcome::Exited { exit_code } => Some(*exit_code),
        Outcome::Signaled { .. }
        | Outcome::TimedOut
        | Outcome::Killed { .. }
        | Outcome::FailedToStart { .. }
        | Outcome::Lost { .. } => None,
    };
    json!({
        "outcome": outcome.kind(),
        "exit_code": exit_code,
        "succeeded": outcome.succeeded(),
        "corrected": corrected,
    })
}

/// The file `events.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptions {
    /// The arguments of every type.
    input_schema: Value,
    /// The properties that the data of every type have.
    payload: JsonObject,
    types: Vec<Description>,
}

#[derive(Deserialize)]
struct Description {
    name: String,
    description: String,
    /// Further properties of the data.
    payload: JsonObject,
}

/// The descriptors of all types, as a server lists them.
pub(super) fn listed(all_sessions: bool) -> Vec<Value> {
    let mut file: Descriptions = serde_json::from_str(include_str!("../events.json"))
        .expect("the file in the source describes the event types");
    if !all_sessions && let Some(Value::Object(arguments)) = file.input_schema.get_mut("properties") {
        arguments.remove(ALL_SESSIONS);
    }
    let descriptor = |of: Description| {
        let properties: JsonObject = file.payload.clone().into_iter().chain(of.payload).collect();
        let required: Vec<&String> = properties.keys().collect();
        json!({
            "name": of.name,
            "description": of.description,
            "delivery": ["poll", "push"],
            "inputSchema": file.input_schema,
            "payloadSchema": {"type": "object", "required": required, "properties": properties},
        })
    };
    file.types.into_iter().map(descriptor).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use homing::core::Timestamp;
    use homing::{Actor, ActorKind, EventCursor, FollowUpState, KilledBy};

    use super::*;

    fn event(kind: EventKind) -> Event {
        let at = Timestamp::from_unix_millis(1_795_345_200_123);
        Event::new(EventCursor::after(7, 1), kind, at, at, Actor::of(ActorKind::Session))
            .with_session(Some("chat-1".parse().unwrap()))
            .with_job(Some("3f9c0a1b2c4d".parse().unwrap()), Some("a\nb".to_owned()))
    }

    /// Checks that `data` has exactly the properties of the schema, with their types.
    fn check(data: &Value, schema: &Value) {
        let (data, properties) = (data.as_object().unwrap(), schema["properties"].as_object().unwrap());
        assert_eq!(data.keys().collect::<BTreeSet<_>>(), properties.keys().collect::<BTreeSet<_>>());
        for (name, value) in data {
            let named = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            let types = &properties[name]["type"];
            let allows = |one: &Value| one == named;
            assert!(
                allows(types) || types.as_array().is_some_and(|types| types.iter().any(allows)),
                "{name}"
            );
        }
    }

    #[test]
    fn every_type_is_listed_and_its_data_match_its_schema() {
        let listed = listed(true);
        let names: Vec<&str> = listed.iter().map(|kind| kind["name"].as_str().unwrap()).collect();
        assert_eq!(names, EventType::ALL.map(EventType::name));
        let events = [
            EventKind::JobStarted,
            EventKind::JobCorrected { outcome: None },
            EventKind::JobFinished { outcome: Outcome::Exited { exit_code: 3 } },
            EventKind::JobFinished { outcome: Outcome::Killed { by: KilledBy::Session } },
            EventKind::JobCorrected { outcome: Some(Outcome::TimedOut) },
            EventKind::FollowUp { from: FollowUpState::Pending, to: FollowUpState::Acknowledged },
        ];
        for kind in events {
            let event = event(kind);
            let of: Vec<EventType> =
                EventType::ALL.into_iter().filter(|kind| kind.data(&event).is_some()).collect();
            let [of] = of[..] else { panic!("{event:?} is of {of:?}") };
            let schema = &listed.iter().find(|kind| kind["name"] == of.name()).unwrap()["payloadSchema"];
            check(&of.data(&event).unwrap(), schema);
        }
    }

    #[test]
    fn data_are_facts_on_one_line() {
        let data = EventType::JobFinished.data(&event(EventKind::JobFinished { outcome: Outcome::TimedOut }));
        let expected = json!({
            "job_id": "3f9c0a1b2c4d", "session": "chat-1", "name": "a ⏎ b",
            "actor": {"kind": "session", "session": null, "token": null},
            "outcome": "timed_out", "exit_code": null, "succeeded": false, "corrected": false,
        });
        assert_eq!(data, Some(expected));
    }

    #[test]
    fn other_events_are_not_offered() {
        for kind in [EventKind::JobSeen, EventKind::JobRemoved, EventKind::MonitorStarted] {
            let event = event(kind);
            assert!(EventType::ALL.iter().all(|kind| kind.data(&event).is_none()), "{event:?}");
        }
    }
}
