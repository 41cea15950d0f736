//! Linux 5.9 or later (close_range(2)): pidfds, subreapers, signalfd, procfs, control groups.

pub mod access;
#[cfg(feature = "async")]
pub mod async_wait;
pub mod background;
mod children;
pub mod clock;
mod dbus;
#[cfg(feature = "desktop")]
pub mod desktop;
pub mod detach;
pub mod dir;
mod environment;
pub mod errors;
pub mod events;
mod exec_plan;
pub mod features;
pub mod file;
pub mod file_id;
pub mod file_system;
mod gate;
pub mod group;
mod guarantees;
pub mod host;
#[cfg(feature = "interrupt")]
pub mod interrupt;
pub mod limits;
pub mod lock;
pub mod notifier;
pub mod notify;
mod open_files;
mod own_program;
mod own_start;
pub mod paths;
pub mod pipe;
pub mod placement;
pub mod placement_checks;
pub mod prefork;
pub mod process;
mod procfs;
pub mod random;
mod service_manager;
#[cfg(feature = "service")]
pub mod service_state;
pub mod shell;
#[cfg(feature = "interrupt")]
mod signals;
pub mod spawn;
pub mod stdin;
pub mod tree;
pub mod user;
pub mod wait;

pub use file_system::{is_on_network, sync_file_system};
pub use guarantees::{guarantees, service_kind};
pub use host::{PidNamespace, own_pid_namespace};
pub use process::ProcessIdentity;
