//! homing: background jobs for AI agents. Every result is recorded and delivered.
//!
//! A job runs **detached** from the process that launches it. Its supervisor records the outcome, even across crashes
//! of the launcher. The session that launched the job has a pending follow-up until the result is acknowledged. This
//! library does not contain a user interface: the command line and the other front ends parse, call it and render.
//!
//! ```
//! use homing::{FollowUpOptions, Homing, JobSpec, OpenOptions, WaitFor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // First thing in `main`: lets this program supervise the jobs it launches.
//! homing::supervise_if_asked();
//! # let folder = tempfile::tempdir()?;
//! # let home = folder.path().join("home");
//!
//! let homing = OpenOptions::new().home(home).open()?;
//! let job = homing.launch(JobSpec::script("make test || exit 3")?.session("chat-1".parse()?))?;
//! // … the agent goes on, or this whole process ends …
//! homing.wait(&[job.id], WaitFor::All, None)?;
//! for job in homing.follow_ups(&FollowUpOptions::default())? {
//!     println!("{}", homing.result_text(job.id)?);
//!     homing.acknowledge(&[job.id])?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Every call is synchronous, and safe from any number of threads and processes at once. The feature `async` adds waits
//! and streams for tokio.
//!
//! The library emits [`tracing`] events whose targets begin with `homing`: launches, ends, recoveries and deliveries, without
//! commands or output. They cost nothing without a subscriber.

mod actor;
#[cfg(feature = "async")]
mod asynchronous;
mod check;
mod config;
mod context;
mod delivery;
mod doctor;
mod entry;
mod error;
mod events;
mod executor;
mod framing;
pub mod harness;
mod hint;
mod homing;
mod index;
mod job_handle;
mod jobs;
mod ledger;
mod mirror;
mod process;
mod store;

#[cfg(feature = "async")]
pub use asynchronous::output::OutputGrowth;
#[cfg(feature = "async")]
pub use asynchronous::wakes::{Offer, WakeStream};
pub use check::{Check, Verdict};
pub use config::{
    Acknowledge, CONFIG_VARIABLE, CommandConfig, Config, Defaults, ExecutorConfig, Limits, MonitorConfig,
    NtfyConfig, PresetConfig, Retention, RouteConfig, SinkConfig, SinkInput, SinkKind, WebhookConfig,
    config_path, user_config_path,
};
pub use delivery::claim::Claimant;
pub use delivery::history::{WakeListing, WakeOptions};
pub use delivery::hold::DeliveryHold;
pub use delivery::lease::LeaseOptions;
pub use delivery::listen::{ListenOptions, Listened};
pub use delivery::monitor::{Monitor, MonitorEnd, MonitorEvent, MonitorHandle, MonitorOptions, MonitorUntil};
pub use delivery::prospects::{NotNotified, Prospect};
pub use delivery::reader::{DeliveryArrangement, ReadResults, ResultReader};
pub use delivery::sinks::{Sink, read_secret_file};

pub use entry::supervise_if_asked;
pub use error::{ConfigRefusal, Error, LeaseLoss, LedgerError, NotRemovable, Result};
pub use events::page::EventOptions;
pub use events::watch::EventWatch;
pub use executor::{CopiedProgram, ExecutorHealth, ExecutorStatus};
pub use framing::frame_untrusted;
pub use harness::origin::{HARNESS_VARIABLE, Origin, SESSION_VARIABLE, session_from_environment};
pub use hint::Hint;
pub use homing::{Homing, OpenOptions};
pub use homing_core as core;
pub use homing_core::{
    Actor, ActorKind, Delivery, Event, EventCursor, EventKind, FollowUpPolicy, FollowUpState, Job,
    JobCommand, JobId, JobIdPrefix, JobKey, JobName, JobRef, JobState, KilledBy, Lease, LeaseId, LeasedWake,
    LeftoverPolicy, Outcome, SessionId, StateName, Wake, WakeId, WakeState,
};
pub use homing_supervisor::output::OutputChunk;
pub use homing_supervisor::platform::wait::{OwnedWaitSource, WaitSource};
pub use homing_supervisor::{DiskError, JOB_VARIABLE, OutputStream, Streams};
pub use index::import::FinishedJob;
pub use index::list_watch::ListWatch;
pub use index::prune::{PruneOptions, PruneReport};
pub use index::query::{FollowUpOptions, ListOptions, Listing};
pub use index::recover::RecoverReport;
pub use index::report::SyncReport;
pub use job_handle::JobHandle;
pub use jobs::follow::{Followed, OutputFollower};
pub use jobs::launch::Launch;
pub use jobs::usage::JobUsage;
pub use jobs::wait::Waited;
pub use ledger::{AttemptRecord, EventPage, ListCursor, SessionSummary, UnsupportedJob, WakeRecord};
pub use store::home::{HOME_VARIABLE, Home};
pub use store::kill::Killing;
pub use store::preforked::prefork_supervisor;
pub use store::program::SUPERVISOR_VARIABLE;
pub use store::recover::RecoverOptions;
pub use store::service_warning::ServiceWarning;
pub use store::spec::{JobSpec, Timeout};
pub use store::unreadable::UnreadableJob;
pub use store::wait::{Interruption, WaitFor, Waiting};
pub use store::watch::JobWatch;
