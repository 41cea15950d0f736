//! Platform-specific code. No other module uses `cfg(target_os)`.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!("homing supports Linux only; another system needs its own module beside platform/linux");
