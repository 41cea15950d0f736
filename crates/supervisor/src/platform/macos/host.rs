//! What distinguishes this machine from others. Only reads.
#![allow(unsafe_code, reason = "gethostuuid(2) has no safe wrapper")]

use serde::{Deserialize, Serialize};

/// Maximum length of a stored machine id or host name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Identifies an instance of a pid namespace. macOS has one, so this is always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidNamespace {
    /// 0.
    pub inode: u64,
    /// 0: process 1 is launchd, which runs from boot to shutdown, so the boot id identifies it too.
    pub init_start_ticks: Option<u64>,
}

/// Returns the host name (uname(3)): at most 64 ASCII characters.
pub fn host_name() -> String {
    fail::fail_point!("host_name", Option::unwrap_or_default);
    bounded(&rustix::system::uname().nodename().to_string_lossy())
}

/// Returns the id of the machine's hardware (gethostuuid(2)), in the usual form of a UUID; `None` if the system does not
/// tell.
pub fn machine_id() -> Option<String> {
    fail::fail_point!("machine_id", |id| id);
    let mut id = [0u8; 16];
    let wait = libc::timespec { tv_sec: 1, tv_nsec: 0 };
    // SAFETY: the buffer has the 16 bytes of a UUID, and the time is a live local.
    let result = unsafe { libc::gethostuuid(id.as_mut_ptr(), &wait) };
    (result == 0 && id != [0; 16]).then(|| {
        let digits: Vec<String> = id.iter().map(|byte| format!("{byte:02X}")).collect();
        [&digits[..4], &digits[4..6], &digits[6..8], &digits[8..10], &digits[10..]]
            .map(<[String]>::concat)
            .join("-")
    })
}

fn bounded(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(MAX_NAME_BYTES).collect()
}

/// Returns the pid namespace of this process.
pub fn own_pid_namespace() -> Option<PidNamespace> {
    fail::fail_point!("foreign_proc", |_| None);
    Some(PidNamespace { inode: 0, init_start_ticks: Some(0) })
}
