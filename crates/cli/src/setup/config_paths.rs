//! Where harnesses keep their files: as the environment says, and by their own rules.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where to look.
#[derive(Clone, Debug)]
pub(crate) struct ConfigPaths {
    home: PathBuf,
    project: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

/// Variables by which harnesses are told where their files are.
const VARIABLES: [&str; 4] = ["CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME", "XDG_CONFIG_HOME"];

impl ConfigPaths {
    /// As the environment of this process says; `None` where there is no home directory.
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

    /// What a variable names.
    pub(super) fn named(&self, variable: &str) -> Option<PathBuf> {
        self.variables.iter().find(|(name, _)| *name == variable).map(|(_, value)| PathBuf::from(value))
    }

    /// Where configurations are that follow the rules of XDG.
    pub(super) fn config(&self) -> PathBuf {
        self.named("XDG_CONFIG_HOME").unwrap_or_else(|| self.home.join(".config"))
    }
}
