//! Where a process runs, and what would end it from there. Moves it into its own systemd scope if it was started inside a
//! service: the end of the service would also kill this process (`KillMode=control-group`, systemd.kill(5)).
//! `service_manager.rs` makes the request.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::clock;
use super::group::{OwnGroups, PREFIX, delegated_directory, leave_foreign_job};
use super::service_manager::{MANAGER_TIMEOUT, ServiceManager};

/// The environment variable that disables scopes with `off`.
pub const SCOPE_VARIABLE: &str = "HOMING_SCOPE";

/// Pause between two checks whether it has moved this process. It answers before it does.
const PAUSE: Duration = Duration::from_micros(250);

/// Maximum length of a description, in characters.
const MAX_DESCRIPTION: usize = 120;

/// Maximum length of a recorded service name, in characters.
const MAX_SERVICE: usize = 64;

/// Where this process runs.
#[derive(Debug)]
pub struct Placement {
    groups: OwnGroups,
    /// The service whose end ends this process, because it could not get a scope.
    service: Option<String>,
}

impl Placement {
    /// Returns where this process runs. Leaves the control group of another job first, if it was started from one.
    pub fn of_this_process() -> Placement {
        Placement { groups: leave_foreign_job(), service: None }
    }

    /// Moves this process into its own scope `homing-NAME.scope`, with delegation, if it is in a service, in a login
    /// session, or in the scope of another job. Waits at most 2 s for the manager. Changes nothing if this is not possible
    /// (no manager, no permission).
    pub fn enter_own(&mut self, name: &str, description: &str) {
        let Some(unit) = cgroup_of_unit(&self.groups).and_then(unit_that_ends_us).map(str::to_owned) else {
            return;
        };
        let is_off = std::env::var_os(SCOPE_VARIABLE).is_some_and(|value| value == "off");
        let scope = format!("{PREFIX}{name}.scope");
        let moved = (!is_off).then(|| ask_for(&self.groups, &scope, &one_line(description)));
        match moved {
            Some(Ok(groups)) => self.groups = groups,
            // The end of a login session ends its processes only if the administrator configures it
            // (`KillUserProcesses=`, logind.conf(5)). A scope of homing ends with its last process.
            Some(Err(_)) | None => self.service = Some(unit).filter(|unit| unit.ends_with(".service")),
        }
    }

    /// Returns the service whose end ends this process, for the record. A long name is cut.
    pub fn service(&self) -> Option<String> {
        self.service.as_ref().map(|unit| unit.chars().take(MAX_SERVICE).collect())
    }

    pub(super) fn groups(&self) -> &OwnGroups {
        &self.groups
    }
}

/// Returns the directory in which each job gets its own group; `None` if none is delegated to this user.
pub fn group_directory() -> Option<PathBuf> {
    delegated_directory(&OwnGroups::read())
}

/// Whether a job that this process launches can get its own scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availability {
    /// The service, session or scope that this process runs in.
    pub unit: String,
    /// Whether a service manager that can create a scope is reachable, or why not.
    pub manager: Result<(), String>,
}

/// Predicts whether a job gets its own scope; `None` if this process does not run in a systemd unit that may end the job.
/// Does not call the service manager.
pub fn availability() -> Option<Availability> {
    let own = OwnGroups::read();
    let cgroup = cgroup_of_unit(&own)?;
    let unit = unit_that_ends_us(cgroup)?.to_owned();
    Some(Availability {
        unit,
        manager: ServiceManager::find(cgroup).map(drop).map_err(|error| error.to_string()),
    })
}

/// Returns the control group of this process in systemd's hierarchy: the unified one, or `name=systemd` in version 1.
fn cgroup_of_unit(own: &OwnGroups) -> Option<&str> {
    ["", "name=systemd"]
        .into_iter()
        .filter_map(|controllers| own.path_in(controllers))
        .find(|path| unit_of(path).is_some())
}

/// Returns the innermost service or scope of a control group. A delegated group may have further child groups.
fn unit_of(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"))
}

/// Returns the unit if its end must not end this process: a service, a login session, or the scope of another job.
fn unit_that_ends_us(cgroup: &str) -> Option<&str> {
    unit_of(cgroup)
        .filter(|unit| unit.ends_with(".service") || unit.starts_with("session-") || unit.starts_with(PREFIX))
}

/// Requests a scope and waits until this process is in it. Returns its new groups.
fn ask_for(own: &OwnGroups, scope: &str, description: &str) -> io::Result<OwnGroups> {
    let give_up_at = clock::monotonic() + MANAGER_TIMEOUT;
    let manager = ServiceManager::find(cgroup_of_unit(own).unwrap_or_default())?;
    let _connection = manager.start_scope(scope, description, give_up_at)?;
    loop {
        let own = OwnGroups::read();
        if cgroup_of_unit(&own).and_then(unit_of) == Some(scope) {
            return Ok(own);
        }
        if clock::monotonic() > give_up_at {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Returns a description for the list of units: one line, without control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_whose_end_ends_this_process_is_found() {
        let unit = |cgroup| unit_that_ends_us(cgroup);
        assert_eq!(unit("/system.slice/chat.service"), Some("chat.service"));
        assert_eq!(unit("/system.slice/chat.service/payload/part"), Some("chat.service"));
        let user = "/user.slice/user-1000.slice/user@1000.service/app.slice";
        let service = format!("{user}/chat.service");
        assert_eq!(unit(&service), Some("chat.service"));
        assert_eq!(unit("/user.slice/user-1000.slice/session-3.scope"), Some("session-3.scope"));
        let job = format!("{user}/homing-0123456789ab.scope/homing-0123456789ab");
        assert_eq!(unit(&job), Some("homing-0123456789ab.scope"));
        let terminal = format!("{user}/app-terminal-1.scope");
        for free in ["/", "/system.slice/docker-5f.scope", terminal.as_str(), "/kubepods/pod1"] {
            assert_eq!(unit(free), None, "{free}");
        }
    }

    #[test]
    fn description_is_one_line() {
        assert_eq!(one_line("a\nb\0c"), "a b c");
        assert_eq!(one_line(&"é".repeat(500)).chars().count(), MAX_DESCRIPTION);
    }
}
