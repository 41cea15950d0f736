//! Paths of the configuration files of harnesses, below the user's home, a directory from a variable, or the project.

#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use homing::harness::Paths;
#[cfg(test)]
use homing_supervisor::platform::paths;

/// Finds configuration files.
#[derive(Debug)]
pub(crate) struct ConfigPaths {
    user: Paths,
    /// The project in the current directory.
    project: PathBuf,
}

impl ConfigPaths {
    /// Uses the environment of this process; `None` without a home directory.
    pub(crate) fn from_environment() -> Option<ConfigPaths> {
        let user = Paths::from_environment();
        user.resolve("~")?;
        Some(ConfigPaths { user, project: std::env::current_dir().ok()? })
    }

    #[cfg(test)]
    pub(super) fn below(folder: &Path) -> ConfigPaths {
        let home = folder.join("home").into_os_string();
        let user = Paths::new(move |name| (name == paths::HOME_VARIABLE).then(|| home.clone()));
        ConfigPaths { user, project: folder.join("project") }
    }

    /// The path of a pattern, as in [`homing::harness::SetupChange`].
    pub(crate) fn path(&self, pattern: &str) -> PathBuf {
        self.user.resolve(pattern).unwrap_or_else(|| self.project.join(pattern))
    }

    /// The first of these files that exists, or else the last one; `None` without patterns.
    pub(crate) fn first_existing(&self, patterns: &[&str]) -> Option<PathBuf> {
        let paths = || patterns.iter().map(|pattern| self.path(pattern));
        paths().find(|path| path.is_file()).or_else(|| paths().next_back())
    }
}
