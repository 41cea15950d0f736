//! The machine, boot, pid namespace and user of a process, and what a process in one of them can conclude about
//! another. Only reads.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::{clock, procfs};

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

/// The environment that a job ran in: machine, boot, pid namespace and user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBy {
    /// The machine id (machine-id(5)); `None` if the system has none, like many containers.
    pub machine_id: Option<String>,
    /// The host name (uname(2)).
    pub host_name: String,
    /// The boot id (random(4)).
    pub boot_id: String,
    /// The pid namespace; `None` if `/proc` shows another one.
    pub pid_namespace: Option<PidNamespace>,
    /// The effective user id.
    pub uid: u32,
}

/// How the environment of a job relates to the environment of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Same boot and same pid namespace: processes can be found and signalled.
    SamePidNamespace,
    /// Same boot, but another pid namespace: locks work, processes are not visible.
    SameKernel,
    /// Same machine, but an earlier boot.
    EarlierBoot,
    /// Another machine, or possibly another one: nothing can be concluded.
    OtherHost,
}

impl RunBy {
    /// Describes this process.
    ///
    /// # Errors
    /// If `/proc` is not available.
    pub fn this_process() -> io::Result<RunBy> {
        Ok(RunBy { pid_namespace: own_pid_namespace(), ..RunBy::this_machine()? })
    }

    /// Describes machine, boot and user of this process, without the pid namespace, which takes longer to read.
    ///
    /// # Errors
    /// If `/proc` is not available.
    pub fn this_machine() -> io::Result<RunBy> {
        Ok(RunBy {
            machine_id: machine_id(),
            host_name: host_name(),
            boot_id: clock::boot_id()?,
            pid_namespace: None,
            uid: rustix::process::geteuid().as_raw(),
        })
    }

    /// Returns how `other` relates to this environment. On a network file system, which several machines can use at
    /// the same time, machines count as the same only if their host names match too.
    pub fn relation_to(&self, other: &RunBy, on_network: bool) -> Relation {
        if self.boot_id == other.boot_id {
            return match (self.pid_namespace, other.pid_namespace) {
                (Some(own), Some(other)) if own == other => Relation::SamePidNamespace,
                _ => Relation::SameKernel,
            };
        }
        let same_machine =
            self.machine_id == other.machine_id && (!on_network || self.host_name == other.host_name);
        if same_machine { Relation::EarlierBoot } else { Relation::OtherHost }
    }
}

fn host_name() -> String {
    fail::fail_point!("host_name", Option::unwrap_or_default);
    bounded(&rustix::system::uname().nodename().to_string_lossy())
}

fn machine_id() -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> RunBy {
        RunBy {
            machine_id: Some("a".to_owned()),
            host_name: "box".to_owned(),
            boot_id: "1".to_owned(),
            pid_namespace: Some(PidNamespace { inode: 7, init_start_ticks: Some(1) }),
            uid: 0,
        }
    }

    #[test]
    fn relations_between_environments_are_detected() {
        let here = environment();
        let restarted = PidNamespace { inode: 7, init_start_ticks: Some(2) };
        let container = RunBy { pid_namespace: Some(restarted), machine_id: None, ..environment() };
        let rebooted = RunBy { boot_id: "2".to_owned(), ..environment() };
        let renamed = RunBy { boot_id: "2".to_owned(), host_name: "other".to_owned(), ..environment() };
        let elsewhere = RunBy { boot_id: "2".to_owned(), machine_id: Some("b".to_owned()), ..environment() };
        let hidden = RunBy { pid_namespace: None, ..environment() };
        let relations = [&here, &container, &hidden, &rebooted, &renamed, &elsewhere]
            .map(|other| [false, true].map(|on_network| here.relation_to(other, on_network)));
        use Relation::*;
        assert_eq!(
            relations,
            [
                [SamePidNamespace, SamePidNamespace],
                [SameKernel, SameKernel],
                [SameKernel, SameKernel],
                [EarlierBoot, EarlierBoot],
                [EarlierBoot, OtherHost],
                [OtherHost, OtherHost],
            ]
        );
        assert_eq!(hidden.relation_to(&hidden, false), SameKernel);
    }

    #[test]
    fn this_process_is_in_its_own_pid_namespace() {
        let here = RunBy::this_process().unwrap();
        assert_eq!(here.relation_to(&here, true), Relation::SamePidNamespace);
    }
}
