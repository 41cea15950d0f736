//! The machine, boot, pid namespace and user of a process, and what a process in one of them can conclude about
//! another.

use std::io;

use serde::{Deserialize, Serialize};

use crate::platform::{PidNamespace, clock, host, own_pid_namespace, user};

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
            machine_id: host::machine_id(),
            host_name: host::host_name(),
            boot_id: clock::boot_id()?,
            pid_namespace: None,
            uid: user::effective_id(),
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
