//! Wakes: messages that deliver results to a session. Content, answers of sinks, state transitions, and scheduling.
//! Does not deliver anything itself.

mod content;
mod delivery;
mod id;
mod lease;
mod plan;
mod progress;
mod retry;

pub use content::{JobDocuments, Wake, WakeContent};
pub use delivery::Delivery;
pub use id::WakeId;
pub use lease::{Lease, LeaseId, LeasedWake};
pub use plan::{OpenWake, Pace, SessionView, Step, next_step};
pub use progress::{WakeEvent, WakeProgress, WakeState};
pub use retry::{BUDGET_WINDOW, RetryPolicy, budget_frees_at};
