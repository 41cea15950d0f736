//! The monitor as a user service: the text of the service files, writing them, and notifications to the service
//! manager.

mod file;
mod launchd;
mod notify;
mod systemd;
mod task;

pub(crate) use file::{Removed, Written, remove, write};
pub(crate) use notify::Supervision;

use std::path::{Path, PathBuf};

use homing::user_config_path;
use homing_supervisor::platform::{ServiceKind, paths, service_kind};

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

    /// The commands that start the service, now and at every login.
    pub(crate) fn start_commands(self, path: &Path) -> Vec<String> {
        match self {
            Manager::Systemd => systemd::START.map(str::to_owned).to_vec(),
            Manager::Launchd => vec![format!("launchctl bootstrap gui/$(id -u) '{}'", path.display())],
            Manager::TaskScheduler => task::start_commands(path),
        }
    }

    /// The command that stops and disables the service while its file exists.
    pub(crate) fn disable_command(self) -> String {
        match self {
            Manager::Systemd => systemd::DISABLE.to_owned(),
            Manager::Launchd => format!("launchctl bootout gui/$(id -u)/{}", launchd::LABEL),
            Manager::TaskScheduler => self.in_one_text(&task::stop_commands()),
        }
    }

    /// The commands that stop the service after its file is removed.
    pub(crate) fn stop_commands(self) -> Vec<String> {
        match self {
            Manager::Systemd => systemd::STOP.map(str::to_owned).to_vec(),
            Manager::Launchd => vec![self.disable_command()],
            Manager::TaskScheduler => task::stop_commands(),
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

    /// Commands as one text. Not every shell of Windows has an operator that runs one command after another.
    pub(crate) fn in_one_text(self, commands: &[String]) -> String {
        match self {
            Manager::Systemd | Manager::Launchd => commands.join(" && "),
            Manager::TaskScheduler => commands.join(", then: "),
        }
    }
}
