//! Limits concurrent deliveries: which are in flight, and which sessions wait for a slot. Does not deliver anything.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use homing_core::{SessionId, WakeId};

/// A queue of sessions that holds each session once.
#[derive(Debug, Default)]
pub(super) struct SessionQueue {
    order: VecDeque<SessionId>,
    members: HashSet<SessionId>,
}

impl SessionQueue {
    /// Adds a session at the end, unless it is in the queue already.
    pub(super) fn push(&mut self, session: SessionId) {
        if self.members.insert(session.clone()) {
            self.order.push_back(session);
        }
    }

    /// Removes and returns the first session.
    pub(super) fn pop(&mut self) -> Option<SessionId> {
        let session = self.order.pop_front()?;
        self.members.remove(&session);
        Some(session)
    }

    /// Whether the queue is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// The deliveries in flight, the claimed slots, and the waiting sessions.
#[derive(Debug, Default)]
pub(super) struct Slots {
    in_flight: HashMap<WakeId, Delivering>,
    /// Sinks with a claimed slot for a wake that is not in flight yet.
    claimed: Vec<String>,
    /// Sessions that wait for a free slot, by sink.
    waiting: BTreeMap<String, SessionQueue>,
}

/// A delivery in flight.
#[derive(Debug)]
struct Delivering {
    session: SessionId,
    sink: String,
}

impl Slots {
    /// Adds a delivery.
    pub(super) fn start(&mut self, wake: WakeId, session: SessionId, sink: String) {
        self.in_flight.insert(wake, Delivering { session, sink });
    }

    /// Removes a delivery whose sink answered.
    pub(super) fn end(&mut self, wake: WakeId) {
        self.in_flight.remove(&wake);
    }

    /// Whether the wake is in flight in this monitor.
    pub(super) fn has(&self, wake: WakeId) -> bool {
        self.in_flight.contains_key(&wake)
    }

    /// The number of deliveries in flight and of claimed slots.
    pub(super) fn len(&self) -> usize {
        self.in_flight.len() + self.claimed.len()
    }

    /// Whether no delivery is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The sessions with a delivery in flight.
    pub(super) fn sessions(&self) -> HashSet<&SessionId> {
        self.in_flight.values().map(|delivering| &delivering.session).collect()
    }

    /// Claims a slot for `sink`, which may use at most `limit` slots; all sinks together may use `total`. The last
    /// slot goes only to a sink that uses none, so that long deliveries of one sink do not block another. Returns
    /// whether a slot was free. [`Slots::release_claims`] releases unused claims.
    pub(super) fn claim(&mut self, sink: &str, limit: usize, total: usize) -> bool {
        let of_sink = self.in_flight.values().filter(|delivering| delivering.sink == sink).count()
            + self.claimed.iter().filter(|claimed| *claimed == sink).count();
        let free = total.saturating_sub(self.len());
        let may_start = free > 1 || (free == 1 && of_sink == 0);
        if of_sink < limit && may_start {
            self.claimed.push(sink.to_owned());
            return true;
        }
        false
    }

    /// Releases all claims: their wakes are in flight now, or were not sent.
    pub(super) fn release_claims(&mut self) {
        self.claimed.clear();
    }

    /// Adds a session that waits until `sink` has a free slot.
    pub(super) fn wait_for(&mut self, sink: String, session: SessionId) {
        self.waiting.entry(sink).or_default().push(session);
    }

    /// Removes and returns waiting sessions whose sinks have free slots, one for each slot. `limit_of` returns the
    /// limit of a sink.
    pub(super) fn take_startable(
        &mut self,
        limit_of: impl Fn(&str) -> usize,
        total: usize,
    ) -> Vec<SessionId> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut startable = Vec::new();
        for (sink, sessions) in &mut waiting {
            while !sessions.is_empty() && self.claim(sink, limit_of(sink), total) {
                startable.extend(sessions.pop());
            }
        }
        waiting.retain(|_, sessions| !sessions.is_empty());
        self.waiting = waiting;
        self.release_claims();
        startable
    }
}

#[cfg(test)]
mod tests {
    use homing_core::Timestamp;

    use super::*;

    fn wake(number: u8) -> WakeId {
        WakeId::new(Timestamp::from_unix_millis(0), [number; 10])
    }

    fn session(name: &str) -> SessionId {
        name.parse().unwrap()
    }

    #[test]
    fn a_sink_gets_up_to_its_limit_and_the_last_slot_goes_to_another_sink() {
        let mut slots = Slots::default();
        let claims = |slots: &mut Slots, sink: &str| (0..9).filter(|_| slots.claim(sink, 4, 8)).count();
        assert_eq!(claims(&mut slots, "agent"), 4);
        assert_eq!(claims(&mut slots, "other-agent"), 3);
        assert_eq!(claims(&mut slots, "webhook"), 1);
        assert_eq!(claims(&mut slots, "desktop"), 0);
        slots.release_claims();
        for number in 0..7 {
            slots.start(wake(number), session("chat"), "agent".to_owned());
        }
        assert!(!slots.claim("agent", 100, 8));
        assert!(slots.claim("webhook", 4, 8));
    }

    #[test]
    fn a_single_slot_goes_to_the_first_claim() {
        let mut slots = Slots::default();
        assert!(slots.claim("agent", 4, 1));
        assert!(!slots.claim("webhook", 4, 1));
    }

    #[test]
    fn sessions_wait_once_and_in_order_for_each_sink() {
        let mut slots = Slots::default();
        for name in ["first", "second", "first"] {
            slots.wait_for("agent".to_owned(), session(name));
        }
        slots.wait_for("webhook".to_owned(), session("other"));
        let one = |_: &str| 1;
        slots.start(wake(1), session("busy"), "agent".to_owned());
        assert_eq!(slots.take_startable(one, 8), [session("other")]);
        slots.end(wake(1));
        assert_eq!(slots.take_startable(one, 8), [session("first")]);
        assert_eq!(slots.take_startable(one, 8), [session("second")]);
        assert_eq!(slots.take_startable(one, 8), []);
    }
}
