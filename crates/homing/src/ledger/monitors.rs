//! Records when monitors become active and end.

use homing_core::{Actor, EventKind};

use super::Ledger;
use super::meta::{meta, remove_meta, set_meta};
use super::rows::{from_json, to_json};
use super::writer::NewEvent;

/// The actor of the monitor that has recorded its start and not its end.
const ACTIVE: &str = "active_monitor";

impl Ledger {
    /// Records that the caller, which holds the lock of monitors, is active. If the previous monitor has not recorded its
    /// end, because it was killed, records it first.
    pub(crate) fn monitor_started(&mut self) -> rusqlite::Result<()> {
        let writer = self.begin()?;
        if let Some(text) = meta(&writer, ACTIVE)? {
            // Written by another version: all that is known is that it was a monitor.
            let killed: Option<Actor> = from_json(0, &text).ok();
            let ended = NewEvent::of_home(EventKind::MonitorEnded { clean: false });
            let unknown = Actor::of(homing_core::ActorKind::Monitor);
            writer.record(&NewEvent { actor: Some(killed.as_ref().unwrap_or(&unknown)), ..ended })?;
        }
        writer.record(&NewEvent::of_home(EventKind::MonitorStarted))?;
        set_meta(&writer, ACTIVE, &to_json(writer.actor())?)?;
        writer.commit()
    }

    /// Records that the caller ends. Does nothing if another monitor has recorded that already.
    pub(crate) fn monitor_ended(&mut self) -> rusqlite::Result<()> {
        let writer = self.begin()?;
        let is_own = match meta(&writer, ACTIVE)? {
            Some(text) => from_json::<Actor>(0, &text).is_ok_and(|active| active == *writer.actor()),
            None => false,
        };
        if !is_own {
            return writer.rollback();
        }
        writer.record(&NewEvent::of_home(EventKind::MonitorEnded { clean: true }))?;
        remove_meta(&writer, ACTIVE)?;
        writer.commit()
    }
}
