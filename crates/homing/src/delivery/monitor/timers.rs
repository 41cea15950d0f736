//! Timers by key, on the monotonic clock: setting the wall clock does not move them.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// One due time for each key.
#[derive(Debug)]
pub(super) struct Timers<K> {
    order: BTreeSet<(Instant, K)>,
    due: HashMap<K, Instant>,
}

impl<K> Default for Timers<K> {
    fn default() -> Timers<K> {
        Timers { order: BTreeSet::new(), due: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash> Timers<K> {
    /// Sets or removes the due time of a key.
    pub(super) fn set(&mut self, key: &K, due: Option<Instant>) {
        if let Some(before) = self.due.remove(key) {
            self.order.remove(&(before, key.clone()));
        }
        if let Some(due) = due {
            self.due.insert(key.clone(), due);
            self.order.insert((due, key.clone()));
        }
    }

    /// Whether a key has a due time.
    pub(super) fn contains(&self, key: &K) -> bool {
        self.due.contains_key(key)
    }

    /// The earliest due time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }

    /// Removes and returns the keys that are due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<K> {
        let mut due_keys = Vec::new();
        while let Some((due, key)) = self.order.pop_first() {
            if due > now {
                self.order.insert((due, key));
                break;
            }
            self.due.remove(&key);
            due_keys.push(key);
        }
        due_keys
    }

    /// Whether no timer is set.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn due_keys_are_returned_once_and_in_order() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut timers = Timers::default();
        timers.set(&"late", at(3));
        timers.set(&"early", at(1));
        timers.set(&"moved", at(1));
        timers.set(&"moved", at(2));
        timers.set(&"gone", at(1));
        timers.set(&"gone", None);
        assert_eq!(timers.next(), at(1));
        assert_eq!(timers.take_due(start + Duration::from_secs(2)), ["early", "moved"]);
        assert_eq!(timers.take_due(start + Duration::from_secs(2)), Vec::<&str>::new());
        assert_eq!(timers.next(), at(3));
        assert!(!timers.is_empty());
    }
}
