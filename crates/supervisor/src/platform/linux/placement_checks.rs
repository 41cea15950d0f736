//! What `doctor` reports about the place in which this process runs, and where jobs that it launches run.

use super::own_pid_namespace;
use super::placement::{Availability, availability, group_directory};

/// One finding, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementCheck {
    /// What was checked.
    pub name: &'static str,
    /// Whether jobs run as well as this system allows.
    pub is_good: bool,
    /// What was found.
    pub detail: String,
    /// What the user can do, if anything.
    pub hint: Option<String>,
}

/// Returns why processes of jobs cannot be looked up here, and what the user can do; `None` if they can. In a container
/// with another `/proc`, its process ids refer to other processes.
pub fn process_list_problem() -> Option<(String, String)> {
    own_pid_namespace().is_none().then(|| {
        let detail =
            "/proc shows another pid namespace; homing does not search for or signal processes of jobs here";
        (detail.to_owned(), "mount proc in this container: mount -t proc proc /proc".to_owned())
    })
}

/// Describes that jobs launched from a systemd service end with it, and what the user can do.
pub fn service_warning(service: &str) -> (String, String) {
    (
        format!(
            "jobs launched from {service} end when it stops: no service manager gave them their own scopes"
        ),
        format!(
            "run `loginctl enable-linger` for the user of the service, or set KillMode=process in {service}"
        ),
    )
}

/// Checks where jobs launched by this process run.
pub fn checks() -> Vec<PlacementCheck> {
    [check_cgroup()].into_iter().chain(availability().map(check_service)).collect()
}

/// Checks whether jobs launched by this process survive its systemd unit.
fn check_service(Availability { unit, manager }: Availability) -> PlacementCheck {
    let (is_good, detail, hint) = match (manager, unit.ends_with(".service")) {
        (Ok(()), _) => (true, format!("{unit}: jobs survive it; each runs in its own scope"), None),
        (Err(reason), true) => {
            let (warning, hint) = service_warning(&unit);
            (false, format!("{warning} ({reason})"), Some(hint))
        }
        (Err(_), false) => (
            false,
            format!("{unit}: jobs survive it unless KillUserProcesses=yes (logind.conf)"),
            Some(
                "run `loginctl enable-linger`: then jobs always survive it, each in its own control group"
                    .to_owned(),
            ),
        ),
    };
    PlacementCheck { name: "service", is_good, detail, hint }
}

fn check_cgroup() -> PlacementCheck {
    let directory = group_directory();
    let detail = match &directory {
        Some(path) => format!("each job gets its own group in {}", path.display()),
        None => "none delegated; the supervisor searches for the processes of a job instead".to_owned(),
    };
    PlacementCheck { name: "cgroup", is_good: directory.is_some(), detail, hint: None }
}
