//! Windows 10 1809 or later: job objects, LockFileEx, overlapped named pipes, ReadDirectoryChangesW. Files are opened
//! with NtCreateFile relative to an open directory.

pub mod access;
mod access_list;
#[cfg(feature = "async")]
pub mod async_wait;
mod attributes;
pub mod background;
mod broker;
mod broker_server;
pub mod clock;
mod command_line;
mod command_plan;
mod create_process;
#[cfg(feature = "desktop")]
pub mod desktop;
pub mod detach;
pub mod dir;
mod entry_kind;
mod environment;
pub mod errors;
mod event;
mod event_queue;
pub mod events;
pub mod features;
pub mod file;
pub mod file_id;
mod file_identity;
mod file_name;
pub mod file_system;
pub mod group;
mod guarantees;
pub mod host;
#[cfg(feature = "interrupt")]
pub mod interrupt;
mod job_object;
mod job_watch;
#[cfg(feature = "terminal")]
pub mod keyboard;
pub mod limits;
mod list;
#[cfg(feature = "local-socket")]
pub mod local_socket;
pub mod lock;
mod named_pipe;
pub mod notifier;
pub mod notify;
mod nt;
mod open_files;
mod operation;
pub mod paths;
pub mod pipe;
pub mod placement;
pub mod placement_checks;
pub mod prefork;
pub mod process;
mod process_end;
mod process_group;
mod process_list;
mod process_snapshot;
mod program_search;
pub mod random;
mod registered_wait;
mod rename;
mod security;
#[cfg(feature = "service")]
pub mod service_state;
pub mod shell;
mod sid;
pub mod spawn;
pub mod stdin;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod usage;
pub mod user;
pub mod wait;
pub mod wakeup;
mod win32;

pub use file_system::{is_on_network, sync_file_system};
pub use guarantees::{guarantees, service_kind};
pub use host::{PidNamespace, own_pid_namespace};
pub use process::ProcessIdentity;
