//! Which sinks deliver wakes now, and which sessions wait for one of them. Decides who may start; delivers nothing.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use homing_core::{SessionId, WakeId};

/// Sessions in the order in which they came, each once.
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

    /// Takes out the first.
    pub(super) fn pop(&mut self) -> Option<SessionId> {
        let session = self.order.pop_front()?;
        self.members.remove(&session);
        Some(session)
    }

    /// Whether nothing is in the queue.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// The deliveries that are under way, and the limits for more.
#[derive(Debug, Default)]
pub(super) struct Slots {
    in_flight: HashMap<WakeId, Delivering>,
    /// Sinks that were chosen for wakes which are not in flight yet.
    claimed: Vec<String>,
    /// Sessions whose next wake goes through a sink that has no free slot, by sink.
    waiting: BTreeMap<String, SessionQueue>,
}

/// A delivery that is under way.
#[derive(Debug)]
struct Delivering {
    session: SessionId,
    sink: String,
}

impl Slots {
    /// Notes that a sink has this wake.
    pub(super) fn start(&mut self, wake: WakeId, session: SessionId, sink: String) {
        self.in_flight.insert(wake, Delivering { session, sink });
    }

    /// Notes that the sink has answered.
    pub(super) fn end(&mut self, wake: WakeId) {
        self.in_flight.remove(&wake);
    }

    /// Whether a sink of this monitor has the wake.
    pub(super) fn has(&self, wake: WakeId) -> bool {
        self.in_flight.contains_key(&wake)
    }

    /// How many deliveries are under way or chosen.
    pub(super) fn len(&self) -> usize {
        self.in_flight.len() + self.claimed.len()
    }

    /// Whether no delivery is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The sessions that are being woken.
    pub(super) fn sessions(&self) -> HashSet<&SessionId> {
        self.in_flight.values().map(|delivering| &delivering.session).collect()
    }

    /// Takes a slot for `sink`, of which at most `limit` may be in use, and of all sinks `total`. The last slot of all
    /// goes only to a sink that has none: long deliveries of some sinks do not hold up another. Answers whether there was
    /// one; [`Slots::release_claims`] gives back what is not used.
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

    /// Forgets all claims: their wakes are in flight now, or are not sent.
    pub(super) fn release_claims(&mut self) {
        self.claimed.clear();
    }

    /// Lets a session wait until `sink` has a free slot.
    pub(super) fn wait_for(&mut self, sink: String, session: SessionId) {
        self.waiting.entry(sink).or_default().push(session);
    }

    /// Takes out the sessions whose sinks have free slots again, as many as there are slots for. `limit_of` answers how
    /// many deliveries of a sink may be under way.
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
    fn a_sink_gets_its_own_number_of_slots_and_the_last_of_all_goes_to_another() {
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
    fn a_single_slot_goes_to_whoever_comes_first() {
        let mut slots = Slots::default();
        assert!(slots.claim("agent", 4, 1));
        assert!(!slots.claim("webhook", 4, 1));
    }

    #[test]
    fn sessions_wait_once_and_in_their_order_for_each_sink() {
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
