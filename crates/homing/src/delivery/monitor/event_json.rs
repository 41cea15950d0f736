//! The events of a monitor as JSON. Later versions may add fields, and never remove them.

use homing_core::{Delivery, as_millis};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::MonitorEvent;

impl Serialize for MonitorEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_map(None)?;
        event.serialize_entry("event", self.name())?;
        match self {
            MonitorEvent::Standby { pid } => {
                event.serialize_entry("pid", &Some(pid).filter(|pid| **pid > 0))?;
            }
            MonitorEvent::Active | MonitorEvent::Alive | MonitorEvent::Configured => {}
            MonitorEvent::Sending { wake, session, sink, attempt, jobs } => {
                event.serialize_entry("wake", wake)?;
                event.serialize_entry("session", session)?;
                event.serialize_entry("sink", sink)?;
                event.serialize_entry("attempt", attempt)?;
                event.serialize_entry("jobs", jobs)?;
            }
            MonitorEvent::Answered { wake, session, delivery, took } => {
                event.serialize_entry("wake", wake)?;
                event.serialize_entry("session", session)?;
                event.serialize_entry("result", delivery.as_str())?;
                event.serialize_entry("reason", &delivery.reason())?;
                if let Delivery::Busy { retry_after, .. } = delivery {
                    event.serialize_entry("retry_after_ms", &retry_after.map(as_millis))?;
                }
                event.serialize_entry("took_ms", &as_millis(*took))?;
            }
            MonitorEvent::Alerted { sink, wakes, delivery } => {
                event.serialize_entry("sink", sink)?;
                event.serialize_entry("wakes", wakes)?;
                event.serialize_entry("result", delivery.as_str())?;
                event.serialize_entry("reason", &delivery.reason())?;
            }
            MonitorEvent::Held { session, until, reason } => {
                event.serialize_entry("session", session)?;
                event.serialize_entry("until", until)?;
                event.serialize_entry("reason", reason)?;
            }
            MonitorEvent::Warning { message } => event.serialize_entry("message", message)?,
            MonitorEvent::Stopping { in_flight } => event.serialize_entry("in_flight", in_flight)?,
        }
        event.end()
    }
}

impl MonitorEvent {
    /// The name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            MonitorEvent::Standby { .. } => "standby",
            MonitorEvent::Active => "active",
            MonitorEvent::Alive => "alive",
            MonitorEvent::Configured => "configured",
            MonitorEvent::Sending { .. } => "sending",
            MonitorEvent::Answered { .. } => "answered",
            MonitorEvent::Alerted { .. } => "alerted",
            MonitorEvent::Held { .. } => "held",
            MonitorEvent::Warning { .. } => "warning",
            MonitorEvent::Stopping { .. } => "stopping",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use homing_core::{Delivery, Timestamp, WakeId};

    use super::*;

    #[test]
    fn every_event_has_its_document() {
        let wake = WakeId::new(Timestamp::from_unix_millis(0), [0; 10]);
        let session = || "chat-1".parse().unwrap();
        let busy = Delivery::Busy { retry_after: None, reason: "a turn runs".to_owned() };
        let took = Duration::from_millis(12);
        let events = [
            MonitorEvent::Standby { pid: 0 },
            MonitorEvent::Active,
            MonitorEvent::Alive,
            MonitorEvent::Sending { wake, session: session(), sink: "app".to_owned(), attempt: 1, jobs: 2 },
            MonitorEvent::Answered { wake, session: session(), delivery: Delivery::Delivered, took },
            MonitorEvent::Answered { wake, session: session(), delivery: busy, took },
            MonitorEvent::Alerted { sink: "phone".to_owned(), wakes: 2, delivery: Delivery::Delivered },
            MonitorEvent::Held {
                session: session(),
                until: None,
                reason: "no sink is configured".to_owned(),
            },
            MonitorEvent::Warning { message: "the disk is full".to_owned() },
            MonitorEvent::Stopping { in_flight: 1 },
        ];
        let lines: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"event":"standby","pid":null}
        {"event":"active"}
        {"event":"alive"}
        {"event":"sending","wake":"w_00000000000000000000000000","session":"chat-1","sink":"app","attempt":1,"jobs":2}
        {"event":"answered","wake":"w_00000000000000000000000000","session":"chat-1","result":"delivered","reason":null,"took_ms":12}
        {"event":"answered","wake":"w_00000000000000000000000000","session":"chat-1","result":"busy","reason":"a turn runs","retry_after_ms":null,"took_ms":12}
        {"event":"alerted","sink":"phone","wakes":2,"result":"delivered","reason":null}
        {"event":"held","session":"chat-1","until":null,"reason":"no sink is configured"}
        {"event":"warning","message":"the disk is full"}
        {"event":"stopping","in_flight":1}
        "#);
    }
}
