//! Everything that depends on the operating system: one directory for each system, with the same modules, types and
//! functions. Only this file selects one of them. `tests/platform.rs` checks what each system must offer.
//!
//! | modules | offer |
//! |---|---|
//! | `dir`, `file`, `file_id`, `file_system`, `access`, `lock` | open below a directory without following links; identity, rights, durability, locks |
//! | `pipe`, `wait`, `notifier`, `notify` | one wait for pipes, processes, other threads, timers and changes of files |
//! | `process`, `children`, `signals`, `spawn` | identify, find, signal and reap processes |
//! | `fork`, `detach`, `own_start`, `stdin` | start a job behind a gate; fork a supervisor and detach it from its launcher; replace its arguments; pass standard input |
//! | `cgroup`, `scope` | groups of processes that the system ends as a whole |
//! | `host`, `user`, `limits`, `features`, `clock`, `random` | properties of the machine and of this process |
//! | `errors` | kinds of errors that callers distinguish |
//!
//! Uses nothing above it.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!("homing supports Linux only; another system needs its own module beside platform/linux");
