//! Paths of the configuration files of harnesses, from the environment and by the rules of each harness.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Base directories and variables.
#[derive(Clone, Debug)]
pub(crate) struct ConfigPaths {
    home: PathBuf,
    project: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

/// Variables that move the files of harnesses.
const VARIABLES: [&str; 4] = ["CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME", "XDG_CONFIG_HOME"];

impl ConfigPaths {
    /// Reads the environment of this process; `None` without a home directory.
    pub(crate) fn from_environment() -> Option<ConfigPaths> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = PathBuf::from(set("HOME")?);
        let variables = VARIABLES.into_iter().filter_map(|name| Some((name, set(name)?))).collect();
        Some(ConfigPaths { home, project: std::env::current_dir().ok()?, variables })
    }

    #[cfg(test)]
    pub(super) fn below(folder: &Path) -> ConfigPaths {
        ConfigPaths { home: folder.join("home"), project: folder.join("project"), variables: Vec::new() }
    }

    /// The user's home directory.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// The project in the current directory.
    pub(super) fn project(&self) -> &Path {
        &self.project
    }

    /// The path in a variable.
    pub(super) fn named(&self, variable: &str) -> Option<PathBuf> {
        self.variables.iter().find(|(name, _)| *name == variable).map(|(_, value)| PathBuf::from(value))
    }

    /// The configuration directory by the XDG rules.
    pub(super) fn config(&self) -> PathBuf {
        self.named("XDG_CONFIG_HOME").unwrap_or_else(|| self.home.join(".config"))
    }
}
