//! macOS 11 or later: kqueue(2), libproc, sysctl(3).
//!
//! Files that POSIX makes the same on both systems are those of Linux.

pub mod access;
mod access_list;
#[cfg(feature = "async")]
#[path = "../linux/async_wait.rs"]
pub mod async_wait;
#[path = "../linux/background.rs"]
pub mod background;
mod change_kinds;
mod children;
pub mod clock;
#[cfg(feature = "desktop")]
pub mod desktop;
pub mod detach;
pub mod dir;
mod environment;
#[path = "../linux/errors.rs"]
pub mod errors;
pub mod events;
#[path = "../linux/exec_plan.rs"]
mod exec_plan;
pub mod features;
pub mod file;
pub mod file_id;
pub mod file_system;
mod gate;
pub mod group;
mod guarantees;
mod guard;
pub mod host;
#[cfg(feature = "interrupt")]
#[path = "../linux/interrupt.rs"]
pub mod interrupt;
mod kqueue;
mod libproc;
#[path = "../linux/limits.rs"]
pub mod limits;
pub mod lock;
mod members;
pub mod notifier;
pub mod notify;
mod open_files;
mod own_program;
#[path = "../linux/paths.rs"]
pub mod paths;
pub mod pipe;
pub mod placement;
pub mod placement_checks;
pub mod prefork;
pub mod process;
mod process_list;
pub mod random;
#[cfg(feature = "service")]
pub mod service_state;
#[path = "../linux/shell.rs"]
pub mod shell;
#[cfg(feature = "interrupt")]
#[path = "../linux/signals.rs"]
mod signals;
#[path = "../linux/spawn.rs"]
pub mod spawn;
#[path = "../linux/stdin.rs"]
pub mod stdin;
mod sysctl;
pub mod tree;
pub mod user;
pub mod wait;
mod wait_group;
mod watched_file;

pub use file_system::{is_on_network, sync_file_system};
pub use guarantees::{guarantees, service_kind};
pub use host::{PidNamespace, own_pid_namespace};
pub use process::ProcessIdentity;
