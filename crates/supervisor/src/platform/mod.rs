//! Everything that depends on the operating system: one directory for each system, with the same modules, types and
//! functions. Only this file selects one of them. `tests/platform.rs` checks what each system must offer.
//!
//! | modules | offer |
//! |---|---|
//! | `dir`, `file`, `file_id`, `file_system`, `access`, `lock` | open below a directory without following links; identity, rights, durability, locks |
//! | `pipe`, `wait`, `notifier`, `notify`, `wakeup` | one wait for pipes, processes, other threads, timers, changes of files and signals of other runtimes |
//! | `process`, `spawn`, `signals`, `usage` | identify, find, start, signal and measure processes |
//! | `tree`, `group`, `events` | start a job behind a gate, and end all its processes; groups that the system ends as a whole; what its supervisor is notified of |
//! | `detach`, `prefork`, `placement`, `stdin` | detach a supervisor from its launcher and from what would end it; fork one before there is a job; pass standard input |
//! | `host`, `user`, `limits`, `features`, `clock`, `random` | properties of the machine and of this process |
//! | `paths`, `shell` | directories of this user, programs, shells |
//! | `interrupt`, `keyboard`, `async_wait`, `local_socket` | requests to end a program in the foreground; its keys; a wait, and a socket for processes of this user, in tokio |
//! | `background`, `service_state`, `desktop` | a program with a log of its own; notifications to the service manager and to the user |
//! | `placement_checks`, `guarantees` | what `doctor` reports about this system |
//! | `errors` | kinds of errors that callers distinguish |
//!
//! Uses nothing above it.

mod guarantee;
mod process_usage;
mod service_kind;
mod start_refused;

pub use guarantee::{Guarantee, Holds};
pub use process_usage::ProcessUsage;
pub use service_kind::ServiceKind;
pub use start_refused::StartRefused;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(target_os = "macos")]
pub use macos::*;
#[cfg(windows)]
pub use windows::*;

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
compile_error!(
    "homing supports Linux, macOS and Windows; another system needs its own module beside platform/linux"
);
