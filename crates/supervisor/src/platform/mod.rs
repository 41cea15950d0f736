//! What differs between systems. The rest of the code knows no `cfg`.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!("homing runs on Linux only so far: another system needs a file beside platform/linux");
