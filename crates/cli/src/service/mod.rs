//! The monitor as a user service: the text of the service files, writing them, registering the scheduled task of Windows,
//! and notifications to the service manager.

mod file;
mod launchd;
mod notify;
mod scheduler;
mod systemd;
mod task;

pub(crate) use file::{Removed, Written, check_owned, remove, stage};
pub(crate) use notify::Supervision;

use std::path::{Path, PathBuf};

use homing::user_config_path;
use homing_supervisor::platform::{ServiceKind, paths, service_kind};

use crate::exit::Failure;
use scheduler::Scheduler;

/// Marks every file that homing wrote and therefore may replace and remove.
const MARK: &str = "Written by homing monitor install";

/// The service that the service manager runs.
#[derive(Debug)]
pub(crate) struct Service {
    /// The absolute path of the program.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its environment variables. A scheduled task gets those of the user's account in their place.
    pub(crate) environment: Vec<(String, String)>,
    /// Log file, for service managers that do not keep a journal.
    pub(crate) log: String,
    /// The user that it runs as, for service managers that must be told: `DOMAIN\NAME`.
    pub(crate) user: Option<String>,
}

/// The service manager of this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// The systemd user manager.
    Systemd,
    /// launchd, with user agents.
    Launchd,
    /// The Task Scheduler of Windows.
    TaskScheduler,
}

impl Manager {
    /// The service manager of this system.
    pub(crate) fn of_this_system() -> Manager {
        match service_kind() {
            ServiceKind::Systemd => Manager::Systemd,
            ServiceKind::Launchd => Manager::Launchd,
            ServiceKind::TaskScheduler => Manager::TaskScheduler,
        }
    }

    /// The path of the service file; `None` if the user has no home directory.
    pub(crate) fn path(self) -> Option<PathBuf> {
        match self {
            Manager::Systemd => {
                let config = user_config_path()?;
                Some(config.parent()?.parent()?.join("systemd/user").join(systemd::FILE))
            }
            Manager::Launchd => {
                Some(paths::home_directory()?.join("Library/LaunchAgents").join(launchd::FILE))
            }
            Manager::TaskScheduler => Some(paths::config_directory()?.join(task::FILE)),
        }
    }

    /// The text of the service file.
    pub(crate) fn text(self, service: &Service) -> String {
        match self {
            Manager::Systemd => systemd::unit(service),
            Manager::Launchd => launchd::agent(service),
            Manager::TaskScheduler => task::definition(service),
        }
    }

    /// The link that starts the service at login, if the service manager uses one.
    pub(crate) fn enabling_link(self, path: &Path) -> Option<PathBuf> {
        match self {
            Manager::Systemd => Some(path.parent()?.join("default.target.wants").join(systemd::FILE)),
            Manager::Launchd | Manager::TaskScheduler => None,
        }
    }

    /// Makes the service manager start the service at every login, where homing does that itself: registers the scheduled
    /// task of Windows from the file of its definition. Returns the name of what it has registered.
    ///
    /// Replaces a task that homing did not register only if `force` is set.
    pub(crate) fn register(self, definition: &Path, force: bool) -> Result<Option<String>, Failure> {
        match self {
            Manager::Systemd | Manager::Launchd => Ok(None),
            Manager::TaskScheduler => {
                let scheduler = Scheduler::of_this_system();
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
        match self {
            Manager::Systemd | Manager::Launchd => Ok(None),
            Manager::TaskScheduler => {
                let scheduler = Scheduler::of_this_system();
                Ok(scheduler.remove(has_file, force)?.then(|| scheduler.task().to_owned()))
            }
        }
    }

    /// The commands that start the service: now, and unless it is registered, at every login.
    pub(crate) fn start_commands(self, path: &Path) -> Vec<String> {
        match self {
            Manager::Systemd => systemd::START.map(str::to_owned).to_vec(),
            Manager::Launchd => vec![format!("launchctl bootstrap gui/$(id -u) '{}'", path.display())],
            Manager::TaskScheduler => vec![task::start_command(Scheduler::of_this_system().task())],
        }
    }

    /// The commands that stop the service after its file is removed.
    pub(crate) fn stop_commands(self) -> Vec<String> {
        match self {
            Manager::Systemd => systemd::STOP.map(str::to_owned).to_vec(),
            Manager::Launchd => vec![format!("launchctl bootout gui/$(id -u)/{}", launchd::LABEL)],
            // It is stopped when the task is removed.
            Manager::TaskScheduler => Vec::new(),
        }
    }

    /// The sentence before the commands that start the service.
    pub(crate) fn start_label(self) -> &'static str {
        match self {
            Manager::Systemd | Manager::Launchd => "start it",
            Manager::TaskScheduler => "start it now",
        }
    }

    /// A hint for the user.
    pub(crate) fn hint(self) -> Option<&'static str> {
        match self {
            Manager::Systemd => {
                Some("run loginctl enable-linger to keep it running while you are logged out")
            }
            Manager::Launchd => None,
            Manager::TaskScheduler => Some(
                "the task gets the variables of your account, not those of this shell; set HOMING_HOME and others with \
                 setx",
            ),
        }
    }
}
