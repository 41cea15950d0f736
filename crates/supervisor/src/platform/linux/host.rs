//! What distinguishes this machine and this pid namespace from others. Only reads.

use std::fs;
use std::os::fd::AsFd;
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

/// Whether an open file or directory is on a file system that other machines or kernels may use at the same time. On
/// such file systems, locks are not reliable (flock(2), NFS details). FUSE is included, because it may be sshfs or a
/// shared folder.
pub fn is_on_network(file: impl AsFd) -> bool {
    fail::fail_point!("network_file_system", |_| true);
    // f_type as in statfs(2) and linux/magic.h.
    const NETWORK: [u64; 13] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x5346_414f, // AFS
        0x00c3_6400, // Ceph
        0x0102_1997, // 9p
        0x0bd0_0bd0, // Lustre
        0x4750_4653, // GPFS
        0x1983_0326, // BeeGFS
        0x0116_1970, // GFS2
        0x7461_636f, // OCFS2
        0x6573_5546, // FUSE
    ];
    rustix::fs::fstatfs(file).is_ok_and(|status| {
        let kind = u64::try_from(status.f_type).map_or(0, |kind| kind & 0xffff_ffff);
        NETWORK.contains(&kind)
    })
}
