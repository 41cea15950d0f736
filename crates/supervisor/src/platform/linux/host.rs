//! Which machine, which boot of it, which pid namespace and which user a process runs in, and what may be concluded
//! about one from another. Only reads.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::{clock, procfs};

/// Where the machine id stands (machine-id(5)); the second place is D-Bus's own.
const MACHINE_ID_FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Longest machine id and host name that are kept, in bytes: `HOST_NAME_MAX` is 64 (gethostname(2)).
const MAX_NAME_BYTES: usize = 64;

/// One instance of a pid namespace (pid_namespaces(7)). The kernel gives an inode number again once a namespace is
/// gone, so the start of its first process belongs to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidNamespace {
    /// Inode of `/proc/self/ns/pid`.
    pub inode: u64,
    /// Start time of its process 1 in clock ticks since boot; `None` where that process is hidden.
    pub init_start_ticks: Option<u64>,
}

/// Who ran a job: the machine, its boot, the pid namespace and the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBy {
    /// The machine id (machine-id(5)); `None` where the system has none, as many containers do not.
    pub machine_id: Option<String>,
    /// The host name (uname(2)).
    pub host_name: String,
    /// The boot (random(4)).
    pub boot_id: String,
    /// The pid namespace; `None` where `/proc` does not show this process's own.
    pub pid_namespace: Option<PidNamespace>,
    /// The effective user id.
    pub uid: u32,
}

/// How the place where a job ran relates to this process's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same boot of the same kernel, and the same pid namespace: processes can be searched and signalled.
    SamePidNamespace,
    /// The same boot of the same kernel, in another pid namespace: locks are known, processes are not.
    SameKernel,
    /// The same machine, which has booted since.
    EarlierBoot,
    /// Another machine, or one that cannot be told from another: nothing can be concluded here.
    OtherHost,
}

impl RunBy {
    /// Describes this process.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn this_process() -> io::Result<RunBy> {
        Ok(RunBy { pid_namespace: own_pid_namespace(), ..RunBy::this_machine()? })
    }

    /// Describes the machine and the user of this process, and leaves out the pid namespace, which takes longer to find.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn this_machine() -> io::Result<RunBy> {
        Ok(RunBy {
            machine_id: machine_id(),
            host_name: host_name(),
            boot_id: clock::boot_id()?,
            pid_namespace: None,
            uid: rustix::process::geteuid().as_raw(),
        })
    }

    /// How the place of `other` relates to this one. On a network file system, which other machines can use at the same
    /// time, machines count as the same only where their names agree too.
    pub fn relation_to(&self, other: &RunBy, on_network: bool) -> Relation {
        if self.boot_id == other.boot_id {
            return match (self.pid_namespace, other.pid_namespace) {
                (Some(ours), Some(theirs)) if ours == theirs => Relation::SamePidNamespace,
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

/// The pid namespace of this process; `None` where `/proc` belongs to another one, whose numbers mean other processes.
pub fn own_pid_namespace() -> Option<PidNamespace> {
    if !procfs::is_our_own() {
        return None;
    }
    let inode = fs::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(PidNamespace { inode, init_start_ticks: procfs::stat(1).map(|init| init.start_ticks) })
}

/// Whether an open file or directory is on a file system that other machines, or another kernel, may use at the same
/// time. There a lock is a hint (flock(2), NFS details). FUSE counts as one: it may be sshfs or a shared folder.
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

    fn place() -> RunBy {
        RunBy {
            machine_id: Some("a".to_owned()),
            host_name: "box".to_owned(),
            boot_id: "1".to_owned(),
            pid_namespace: Some(PidNamespace { inode: 7, init_start_ticks: Some(1) }),
            uid: 0,
        }
    }

    #[test]
    fn places_are_told_apart() {
        let here = place();
        let restarted = PidNamespace { inode: 7, init_start_ticks: Some(2) };
        let container = RunBy { pid_namespace: Some(restarted), machine_id: None, ..place() };
        let rebooted = RunBy { boot_id: "2".to_owned(), ..place() };
        let renamed = RunBy { boot_id: "2".to_owned(), host_name: "other".to_owned(), ..place() };
        let elsewhere = RunBy { boot_id: "2".to_owned(), machine_id: Some("b".to_owned()), ..place() };
        let hidden = RunBy { pid_namespace: None, ..place() };
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
    fn this_process_is_in_its_own_place() {
        let here = RunBy::this_process().unwrap();
        assert_eq!(here.relation_to(&here, true), Relation::SamePidNamespace);
    }
}
