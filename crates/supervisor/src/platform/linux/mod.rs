//! Linux 5.9 or later (close_range(2)): pidfds, subreapers, signalfd, procfs, control groups.

pub mod access;
pub mod cgroup;
pub mod children;
pub mod clock;
mod dbus;
pub mod detach;
pub mod dir;
mod environment;
pub mod errors;
mod exec_plan;
pub mod features;
pub mod file;
pub mod file_id;
pub mod file_system;
pub mod fork;
pub mod host;
pub mod limits;
pub mod lock;
pub mod notifier;
pub mod notify;
mod open_files;
pub mod own_start;
pub mod pipe;
pub mod process;
mod procfs;
pub mod random;
pub mod scope;
mod service_manager;
pub mod signals;
pub mod spawn;
pub mod stdin;
pub mod user;
pub mod wait;

pub use file_system::{is_on_network, sync_file_system};
pub use host::{PidNamespace, own_pid_namespace};
pub use process::ProcessIdentity;
