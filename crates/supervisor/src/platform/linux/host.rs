//! What distinguishes this machine and this pid namespace from others. Only reads.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::procfs;

/// Files with the machine id (machine-id(5)); the second one is from D-Bus.
const MACHINE_ID_FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Maximum length of a stored machine id or host name, in bytes: `HOST_NAME_MAX` is 64 (gethostname(2)).
const MAX_NAME_BYTES: usize = 64;

/// Identifies an instance of a pid namespace (pid_namespaces(7)). The kernel reuses inode numbers of namespaces, so
/// the start time of its first process is part of the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidNamespace {
    /// Inode of `/proc/self/ns/pid`.
    pub inode: u64,
    /// Start time of its process 1 in clock ticks since boot; `None` if that process is hidden.
    pub init_start_ticks: Option<u64>,
}

/// Returns the host name (uname(2)): at most 64 ASCII characters.
pub fn host_name() -> String {
    fail::fail_point!("host_name", Option::unwrap_or_default);
    bounded(&rustix::system::uname().nodename().to_string_lossy())
}

/// Returns the machine id (machine-id(5)); `None` if the system has none, like many containers.
pub fn machine_id() -> Option<String> {
    fail::fail_point!("machine_id", |id| id);
    let mut buffer = [0; 128];
    MACHINE_ID_FILES.iter().find_map(|file| {
        let text = procfs::read_short(file, &mut buffer).ok()?;
        let id = bounded(String::from_utf8_lossy(text).trim());
        // systemd writes `uninitialized` into images that get their id at the first boot.
        (!id.is_empty() && id != "uninitialized").then_some(id)
    })
}

fn bounded(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(MAX_NAME_BYTES).collect()
}

/// Returns the pid namespace of this process; `None` if `/proc` shows another one, in which pids have other meanings.
pub fn own_pid_namespace() -> Option<PidNamespace> {
    if !procfs::shows_own_pid_namespace() {
        return None;
    }
    let inode = fs::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(PidNamespace { inode, init_start_ticks: procfs::stat(1).map(|init| init.start_ticks) })
}
