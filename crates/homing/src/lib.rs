//! homing: background jobs for AI agents that always come home.
//!
//! A command is launched **detached**; how it ended is recorded whatever dies in between; and the session that launched
//! it is owed a follow-up until somebody acknowledges it. This library is all of it without a user interface: the
//! command line, and every other door, only parse, call and render.
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
//! Every call is synchronous, and safe from any number of threads and processes at once.

mod claim;
mod config;
mod delivery_hold;
mod doctor;
mod error;
mod file_id;
mod follow_ups;
mod framing;
mod harness;
mod home;
mod homing;
mod import;
mod keyed;
mod kill;
mod launch;
mod ledger;
mod monitor;
mod observe;
mod output;
mod prepare;
mod program;
mod prune;
mod random;
mod recover;
mod routes;
mod service_warning;
mod set_aside;
mod sinks;
mod spec;
mod sync;
mod sync_report;
mod unreadable;
mod wait;
mod wakes;
mod watch;
mod watcher;

pub use claim::Claimant;
pub use config::{
    Acknowledge, CONFIG_VARIABLE, CommandConfig, Config, ConfigRefusal, Defaults, MonitorConfig,
    PresetConfig, Retention, RouteConfig, SinkConfig, SinkInput, SinkKind, WebhookConfig, config_path,
    user_config_path,
};
pub use delivery_hold::DeliveryHold;
pub use doctor::{Check, Verdict};
pub use error::{Error, Result};
pub use framing::frame_untrusted;
pub use harness::{HARNESS_VARIABLE, Origin, SESSION_VARIABLE, session_from_environment};
pub use home::{HOME_VARIABLE, Home};
pub use homing::{FollowUpOptions, Homing, ListOptions, Listing, OpenOptions};
pub use homing_core as core;
pub use homing_core::{
    Delivery, FollowUpPolicy, FollowUpState, Job, JobCommand, JobId, JobIdPrefix, JobKey, JobState, KilledBy,
    LeftoverPolicy, Outcome, SessionId, StateName, Wake, WakeId, WakeState,
};
pub use homing_supervisor::output::OutputChunk;
pub use homing_supervisor::{DiskError, JOB_VARIABLE};
pub use import::FinishedJob;
pub use kill::Killing;
pub use ledger::UnsupportedJob;
pub use monitor::{Monitor, MonitorEnd, MonitorEvent, MonitorHandle, MonitorOptions, MonitorUntil};
pub use output::{Followed, OutputFollower};
pub use program::{SUPERVISOR_VARIABLE, supervise_if_asked};
pub use prune::{PruneOptions, PruneReport};
pub use recover::{RecoverOptions, RecoverReport};
pub use service_warning::ServiceWarning;
pub use sinks::{Sink, read_secret_file};
pub use spec::{JobSpec, Timeout};
pub use sync_report::SyncReport;
pub use unreadable::UnreadableJob;
pub use wait::{Interruption, WaitFor, Waited, Waiting};
pub use wakes::{AttemptRecord, WakeRecord};
pub use watch::JobWatch;
