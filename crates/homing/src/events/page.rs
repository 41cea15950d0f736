//! Reads pages of the log of events.

use homing_core::{EventCursor, SessionId};

use crate::Result;
use crate::context::Context;
use crate::ledger::EventPage;

/// The number of events in a page without a limit.
const DEFAULT_LIMIT: u32 = 1_000;

/// The largest number of events in a page.
const MAX_LIMIT: u32 = 10_000;

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct EventOptions {
    /// Only events after this place; [`EventCursor::oldest`] for all that are kept. Without it, only events from now on.
    pub since: Option<EventCursor>,
    /// Only events of this session. Leaves out those of monitors, which belong to none.
    pub session: Option<SessionId>,
    /// The maximum number of events in a page: 1,000 if it is not set, and at most 10,000.
    pub limit: Option<u32>,
}

impl EventOptions {
    pub(super) fn page_limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT)
    }
}

impl Context {
    /// As [`Homing::events_since`](crate::Homing::events_since).
    pub(crate) fn events_since(&self, options: &EventOptions) -> Result<EventPage> {
        self.sync()?;
        self.recorded_events(options)
    }

    /// As [`Homing::newest_events`](crate::Homing::newest_events).
    pub(crate) fn newest_events(&self, options: &EventOptions) -> Result<EventPage> {
        self.sync()?;
        self.with_ledger(|ledger| ledger.newest_events(options.session.as_ref(), options.page_limit()))
    }

    /// As [`Context::events_since`], for a ledger that is up to date.
    pub(super) fn recorded_events(&self, options: &EventOptions) -> Result<EventPage> {
        self.with_ledger(|ledger| {
            ledger.events(options.since, options.session.as_ref(), options.page_limit())
        })
    }
}
