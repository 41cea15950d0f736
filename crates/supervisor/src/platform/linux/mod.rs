//! Linux 5.9 or later (close_range(2)): pidfds, subreapers, signalfd, procfs, control groups.

pub mod cgroup;
pub mod clock;
mod dbus;
mod disk;
pub mod features;
pub mod fork;
pub mod host;
mod identity;
pub mod open_files;
pub mod procfs;
pub mod scope;
pub mod signals;
pub mod user;
pub mod wait;

pub use disk::{start_writing, sync_file_system};
pub use host::{PidNamespace, is_on_network, own_pid_namespace};
pub use identity::ProcessIdentity;
