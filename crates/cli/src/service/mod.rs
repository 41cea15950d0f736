//! The monitor and the server as user services: the text of the service files, writing them, registering the scheduled task of Windows,
//! and notifications to the service manager.

mod definition;
mod file;
mod launchd;
mod notify;
mod scheduler;
mod systemd;
mod task;

pub(crate) use definition::{Role, Service};
pub(crate) use file::{Removed, Written, check_owned, remove, stage};
pub(crate) use notify::Supervision;

use std::path::{Path, PathBuf};

use homing::user_config_path;
use homing_supervisor::platform::{ServiceKind, paths, service_kind};

use crate::exit::Failure;
use scheduler::Scheduler;

/// The service manager of this system, for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manager {
    kind: ServiceKind,
    role: Role,
}

impl Manager {
    /// The service manager of this system.
    pub(crate) fn of_this_system(role: Role) -> Manager {
        Manager { kind: service_kind(), role }
    }

    /// The path of the service file; `None` if the user has no home directory.
    pub(crate) fn path(self) -> Option<PathBuf> {
        match self.kind {
            ServiceKind::Systemd => {
                let config = user_config_path()?;
                Some(config.parent()?.parent()?.join("systemd/user").join(systemd::file(self.role)))
            }
            ServiceKind::Launchd => {
                Some(paths::home_directory()?.join("Library/LaunchAgents").join(launchd::file(self.role)))
            }
            ServiceKind::TaskScheduler => Some(paths::config_directory()?.join(task::file(self.role))),
        }
    }

    /// The text of the service file.
    pub(crate) fn text(self, service: &Service) -> String {
        match self.kind {
            ServiceKind::Systemd => systemd::unit(service),
            ServiceKind::Launchd => launchd::agent(service),
            ServiceKind::TaskScheduler => task::definition(service),
        }
    }

    /// The link that starts the service at login, if the service manager uses one.
    pub(crate) fn enabling_link(self, path: &Path) -> Option<PathBuf> {
        match self.kind {
            ServiceKind::Systemd => {
                Some(path.parent()?.join("default.target.wants").join(systemd::file(self.role)))
            }
            ServiceKind::Launchd | ServiceKind::TaskScheduler => None,
        }
    }

    /// Makes the service manager start the service at every login, where homing does that itself: registers the scheduled
    /// task of Windows from the file of its definition. Returns the name of what it has registered.
    ///
    /// Replaces a task that homing did not register only if `force` is set.
    pub(crate) fn register(self, definition: &Path, force: bool) -> Result<Option<String>, Failure> {
        match self.kind {
            ServiceKind::Systemd | ServiceKind::Launchd => Ok(None),
            ServiceKind::TaskScheduler => {
                let scheduler = Scheduler::of_this_system(self.role);
                scheduler.register(definition, force)?;
                Ok(Some(scheduler.task().to_owned()))
            }
        }
    }

    /// Reverts [`register`](Manager::register), and stops the service. Returns the name of what was registered, if
    /// anything. `has_file` says whether there was a service file.
    ///
    /// Removes a task that homing did not register only if `force` is set.
    pub(crate) fn unregister(self, has_file: bool, force: bool) -> Result<Option<String>, Failure> {
        match self.kind {
            ServiceKind::Systemd | ServiceKind::Launchd => Ok(None),
            ServiceKind::TaskScheduler => {
                let scheduler = Scheduler::of_this_system(self.role);
                Ok(scheduler.remove(has_file, force)?.then(|| scheduler.task().to_owned()))
            }
        }
    }

    /// The commands that start the service: now, and unless it is registered, at every login.
    pub(crate) fn start_commands(self, path: &Path) -> Vec<String> {
        match self.kind {
            ServiceKind::Systemd => systemd::start(self.role),
            ServiceKind::Launchd => vec![format!("launchctl bootstrap gui/$(id -u) '{}'", path.display())],
            ServiceKind::TaskScheduler => {
                vec![task::start_command(Scheduler::of_this_system(self.role).task())]
            }
        }
    }

    /// The commands that stop the service after its file is removed.
    pub(crate) fn stop_commands(self) -> Vec<String> {
        match self.kind {
            ServiceKind::Systemd => systemd::stop(self.role),
            ServiceKind::Launchd => {
                vec![format!("launchctl bootout gui/$(id -u)/{}", launchd::label(self.role))]
            }
            // It is stopped when the task is removed.
            ServiceKind::TaskScheduler => Vec::new(),
        }
    }

    /// The sentence before the commands that start the service.
    pub(crate) fn start_label(self) -> &'static str {
        match self.kind {
            ServiceKind::Systemd | ServiceKind::Launchd => "start it",
            ServiceKind::TaskScheduler => "start it now",
        }
    }

    /// A hint for the user.
    pub(crate) fn hint(self) -> Option<&'static str> {
        match self.kind {
            ServiceKind::Systemd => {
                Some("run loginctl enable-linger to keep it running while you are logged out")
            }
            ServiceKind::Launchd => None,
            ServiceKind::TaskScheduler => Some(
                "the task gets the variables of your account, not those of this shell; set HOMING_HOME and others with \
                 setx",
            ),
        }
    }
}
