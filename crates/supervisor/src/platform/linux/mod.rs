//! Linux 5.9 or later (close_range(2)): pidfds, subreapers, signalfd, procfs, control groups.
//!
//! Modules with a `path` are the same on macOS: they are in `platform/unix`.

pub mod access;
mod after_fork;
#[cfg(feature = "async")]
#[path = "../unix/async_wait.rs"]
pub mod async_wait;
#[path = "../unix/background.rs"]
pub mod background;
mod children;
pub mod clock;
mod dbus;
#[cfg(feature = "desktop")]
pub mod desktop;
pub mod detach;
#[path = "../unix/dir.rs"]
pub mod dir;
mod environment;
#[path = "../unix/errors.rs"]
pub mod errors;
pub mod events;
#[path = "../unix/exec_plan.rs"]
mod exec_plan;
pub mod features;
pub mod file;
pub mod file_id;
pub mod file_system;
#[path = "../unix/gate.rs"]
mod gate;
pub mod group;
mod guarantees;
pub mod host;
#[cfg(feature = "interrupt")]
#[path = "../unix/interrupt.rs"]
pub mod interrupt;
#[cfg(feature = "terminal")]
#[path = "../unix/keyboard.rs"]
pub mod keyboard;
#[path = "../unix/limits.rs"]
pub mod limits;
#[cfg(feature = "local-socket")]
#[path = "../unix/local_socket.rs"]
pub mod local_socket;
pub mod lock;
pub mod notifier;
pub mod notify;
mod open_files;
mod own_program;
mod own_start;
#[path = "../unix/paths.rs"]
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
#[path = "../unix/shell.rs"]
pub mod shell;
#[cfg(feature = "interrupt")]
#[path = "../unix/signals.rs"]
mod signals;
#[path = "../unix/spawn.rs"]
pub mod spawn;
#[path = "../unix/stdin.rs"]
pub mod stdin;
pub mod tree;
pub mod usage;
pub mod user;
pub mod wait;
pub mod wakeup;

pub use file_system::{is_on_network, sync_file_system};
pub use guarantees::{guarantees, service_kind};
pub use host::{PidNamespace, own_pid_namespace};
pub use process::ProcessIdentity;
