//! Pure types and state transitions of homing: jobs, outcomes, follow-ups, wakes, and the text that agents read. No
//! I/O, no clock and no randomness: callers pass in the time and the random bytes.

mod command;
mod event;
mod exit_code;
mod follow_up;
mod id;
mod job;
mod job_document;
mod name;
mod one_line;
mod outcome;
mod shell;
mod signal;
mod spec;
pub mod text;
mod time;
mod wake;

pub use command::{CommandError, JobCommand};
pub use event::{Actor, ActorKind, Event, EventCursor, EventKind};
pub use follow_up::{FollowUp, FollowUpEvent, FollowUpState, TransitionError};
pub use id::{IdError, JobId, JobIdPrefix, JobKey, SessionId};
pub use job::{Finished, Job, JobState, OutputSize, Started, StateName};
pub use name::{JobName, JobRef};
pub use outcome::{KilledBy, Leftover, LeftoverFate, LostReason, Outcome, Recovery, StartError};
pub use shell::{Shell, ShellError};
pub use signal::Signal;
pub use spec::{
    DEFAULT_GRACE, DEFAULT_HEAD_BYTES, DEFAULT_TAIL_BYTES, DEFAULT_TIMEOUT, FollowUpPolicy, JobLimits,
    LeftoverPolicy, MAX_OUTPUT_BYTES, MIN_TAIL_BYTES,
};
pub use time::{DurationError, Timestamp, as_millis, format_duration, parse_duration};
pub use wake::{
    BUDGET_WINDOW, Delivery, JobDocuments, Lease, LeaseId, LeasedWake, OpenWake, Pace, RetryPolicy,
    SessionView, Step, Wake, WakeContent, WakeEvent, WakeId, WakeProgress, WakeState, budget_frees_at,
    next_step,
};
