//! The state of alerts in the active monitor.

use crate::ledger::DeadWake;

/// The alerts of a monitor.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    /// Dead wakes that no alert has named.
    pub(super) due: Vec<DeadWake>,
    pub(super) is_in_flight: bool,
}

impl Alerts {
    /// Whether an alert is due or in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.is_in_flight || !self.due.is_empty()
    }
}
