//! The monitor as a service of the user's: what the files say, how they are written, and what a service manager hears.

mod file;
mod launchd;
mod notify;
mod systemd;

pub(crate) use file::{Removed, Written, remove, write};
pub(crate) use notify::Supervision;

use std::path::{Path, PathBuf};

use homing::user_config_path;

/// Stands in every file that homing wrote, and may therefore replace and remove.
const MARK: &str = "Written by homing monitor install";

/// What a service manager is to run.
#[derive(Debug)]
pub(crate) struct Service {
    /// The program, by its absolute path.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// What it finds in its environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Where what it says goes, where the service manager keeps no journal.
    pub(crate) log: String,
}

/// Who runs services on this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// systemd, for one user.
    Systemd,
    /// launchd, for one user.
    Launchd,
}

impl Manager {
    /// The one of this system.
    pub(crate) fn of_this_system() -> Manager {
        if std::env::consts::OS == "macos" { Manager::Launchd } else { Manager::Systemd }
    }

    /// Where the service's file belongs; `None` where the user has no home directory.
    pub(crate) fn path(self) -> Option<PathBuf> {
        match self {
            Manager::Systemd => {
                let config = user_config_path()?;
                Some(config.parent()?.parent()?.join("systemd/user").join(systemd::FILE))
            }
            Manager::Launchd => Some(std::env::home_dir()?.join("Library/LaunchAgents").join(launchd::FILE)),
        }
    }

    /// What the file says.
    pub(crate) fn text(self, service: &Service) -> String {
        match self {
            Manager::Systemd => systemd::unit(service),
            Manager::Launchd => launchd::agent(service),
        }
    }

    /// The link that makes the service start at login, where that is a file of its own.
    pub(crate) fn enabling_link(self, path: &Path) -> Option<PathBuf> {
        match self {
            Manager::Systemd => Some(path.parent()?.join("default.target.wants").join(systemd::FILE)),
            Manager::Launchd => None,
        }
    }

    /// What starts it, now and at every login.
    pub(crate) fn start_commands(self, path: &Path) -> Vec<String> {
        match self {
            Manager::Systemd => systemd::START.map(str::to_owned).to_vec(),
            Manager::Launchd => vec![format!("launchctl bootstrap gui/$(id -u) '{}'", path.display())],
        }
    }

    /// What stops it, now and at every login, as long as its file is there.
    pub(crate) fn disable_command(self) -> String {
        match self {
            Manager::Systemd => systemd::DISABLE.to_owned(),
            Manager::Launchd => format!("launchctl bootout gui/$(id -u)/{}", launchd::LABEL),
        }
    }

    /// What stops it once its file is gone.
    pub(crate) fn stop_commands(self) -> Vec<String> {
        match self {
            Manager::Systemd => systemd::STOP.map(str::to_owned).to_vec(),
            Manager::Launchd => vec![self.disable_command()],
        }
    }

    /// What else is worth knowing.
    pub(crate) fn hint(self) -> Option<&'static str> {
        match self {
            Manager::Systemd => Some("loginctl enable-linger keeps it running while you are logged out"),
            Manager::Launchd => None,
        }
    }
}
