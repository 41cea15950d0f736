//! The document `homing.event/1`: one event as JSON, as every front end shows it. New versions may add fields and types
//! but never remove or change them. Readers ignore types and fields that they do not know.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Event, EventKind};

const SCHEMA: &str = "homing.event/1";

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_map(None)?;
        event.serialize_entry("schema", SCHEMA)?;
        event.serialize_entry("cursor", &self.cursor)?;
        event.serialize_entry("type", self.event.name())?;
        event.serialize_entry("occurred_at", &self.occurred_at)?;
        event.serialize_entry("recorded_at", &self.recorded_at)?;
        event.serialize_entry("session", &self.session)?;
        event.serialize_entry("job", &self.job)?;
        event.serialize_entry("name", &self.name)?;
        event.serialize_entry("wake", &self.wake)?;
        event.serialize_entry("actor", &self.actor)?;
        match &self.event {
            EventKind::JobSeen
            | EventKind::JobStarted
            | EventKind::JobKillRequested
            | EventKind::JobRemoved
            | EventKind::MonitorStarted => {}
            EventKind::JobFinished { outcome } => event.serialize_entry("outcome", outcome)?,
            EventKind::JobCorrected { outcome } => event.serialize_entry("outcome", outcome)?,
            EventKind::FollowUp { from, to: _ } => event.serialize_entry("from", from)?,
            EventKind::Wake { state: _, sink, attempt, error, jobs } => {
                event.serialize_entry("sink", sink)?;
                event.serialize_entry("attempt", attempt)?;
                event.serialize_entry("error", error)?;
                event.serialize_entry("jobs", jobs)?;
            }
            EventKind::MonitorEnded { clean } => event.serialize_entry("clean", clean)?,
        }
        event.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        Actor, ActorKind, EventCursor, FollowUpState, KilledBy, Outcome, Timestamp, WakeId, WakeState,
    };

    fn event(seq: u64, event: EventKind) -> Event {
        let is_of_job = event.name().starts_with("job.") || event.name().starts_with("follow_up.");
        let is_of_wake = event.name().starts_with("wake.");
        Event {
            cursor: EventCursor::after(0x7f3a_9c01, seq),
            event,
            occurred_at: Timestamp::from_unix_millis(1_795_345_200_123),
            recorded_at: Timestamp::from_unix_millis(1_795_345_200_200),
            session: (is_of_job || is_of_wake).then(|| "chat-1".parse().unwrap()),
            job: is_of_job.then(|| "3f9c0a1b2c4d".parse().unwrap()),
            name: None,
            wake: is_of_wake.then(|| WakeId::new(Timestamp::from_unix_millis(0), [0; 10])),
            actor: Actor { uid: Some(1000), pid: Some(4711), ..Actor::of(ActorKind::Process) },
        }
    }

    #[test]
    fn every_kind_has_its_document() {
        let wake = EventKind::Wake {
            state: WakeState::Dead,
            sink: Some("app".to_owned()),
            attempt: Some(2),
            error: Some("exit status 1".to_owned()),
            jobs: vec!["3f9c0a1b2c4d".parse().unwrap()],
        };
        let killed = Outcome::Killed { by: KilledBy::Session };
        let kinds = [
            EventKind::JobSeen,
            EventKind::JobFinished { outcome: killed },
            EventKind::JobCorrected { outcome: None },
            EventKind::FollowUp { from: FollowUpState::Waiting, to: FollowUpState::Pending },
            wake,
            EventKind::MonitorStarted,
            EventKind::MonitorEnded { clean: false },
        ];
        let lines: Vec<String> =
            (1..).zip(kinds).map(|(seq, kind)| serde_json::to_string(&event(seq, kind)).unwrap()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"schema":"homing.event/1","cursor":"7f3a9c01.1","type":"job.seen","occurred_at":"2026-11-22T11:00:00.123Z","recorded_at":"2026-11-22T11:00:00.200Z","session":"chat-1","job":"3f9c0a1b2c4d","name":null,"wake":null,"actor":{"kind":"process","uid":1000,"pid":4711,"session":null,"token":null,"program":null}}
        {"schema":"homing.event/1","cursor":"7f3a9c01.2","type":"job.finished","occurred_at":"2026-11-22T11:00:00.123Z","recorded_at":"2026-11-22T11:00:00.200Z","session":"chat-1","job":"3f9c0a1b2c4d","name":null,"wake":null,"actor":{"kind":"process","uid":1000,"pid":4711,"session":null,"token":null,"program":null},"outcome":{"kind":"killed","reason":"session"}}
        {"schema":"homing.event/1","cursor":"7f3a9c01.3","type":"job.corrected","occurred_at":"2026-11-22T11:00:00.123Z","recorded_at":"2026-11-22T11:00:00.200Z","session":"chat-1","job":"3f9c0a1b2c4d","name":null,"wake":null,"actor":{"kind":"process","uid":1000,"pid":4711,"session":null,"token":null,"program":null},"outcome":null}
        {"schema":"homing.event/1","cursor":"7f3a9c01.4","type":"follow_up.pending","occurred_at":"2026-11-22T11:00:00.123Z","recorded_at":"2026-11-22T11:00:00.200Z","session":"chat-1","job":"3f9c0a1b2c4d","name":null,"wake":null,"actor":{"kind":"process","uid":1000,"pid":4711,"session":null,"token":null,"program":null},"from":"waiting"}
        {"schema":"homing.event/1","cursor":"7f3a9c01.5","type":"wake.dead","occurred_at":"2026-11-22T11:00:00.123Z","recorded_at":"2026-11-22T11:00:00.200Z","session":"chat-1","job":null,"name":null,"wake":"w_00000000000000000000000000","actor":{"kind":"process","uid":1000,"pid":4711,"session":null,"token":null,"program":null},"sink":"app","attempt":2,"error":"exit status 1","jobs":["3f9c0a1b2c4d"]}
        {"schema":"homing.event/1","cursor":"7f3a9c01.6","type":"monitor.started","occurred_at":"2026-11-22T11:00:00.123Z","recorded_at":"2026-11-22T11:00:00.200Z","session":null,"job":null,"name":null,"wake":null,"actor":{"kind":"process","uid":1000,"pid":4711,"session":null,"token":null,"program":null}}
        {"schema":"homing.event/1","cursor":"7f3a9c01.7","type":"monitor.ended","occurred_at":"2026-11-22T11:00:00.123Z","recorded_at":"2026-11-22T11:00:00.200Z","session":null,"job":null,"name":null,"wake":null,"actor":{"kind":"process","uid":1000,"pid":4711,"session":null,"token":null,"program":null},"clean":false}
        "#);
    }

    #[test]
    fn states_have_one_name_each() {
        let follow_ups = FollowUpState::ALL.map(|to| {
            let name = EventKind::FollowUp { from: FollowUpState::Waiting, to }.name();
            assert_eq!(name, format!("follow_up.{to}"));
            name
        });
        let wakes = WakeState::ALL.map(|state| {
            let (sink, jobs) = (None, Vec::new());
            let name = EventKind::Wake { state, sink, attempt: None, error: None, jobs }.name();
            assert_eq!(name, format!("wake.{}", state.as_str()));
            name
        });
        let names: BTreeSet<&str> = follow_ups.into_iter().chain(wakes).collect();
        assert_eq!(names.len(), FollowUpState::ALL.len() + WakeState::ALL.len());
    }
}
