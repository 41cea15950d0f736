//! Finds the files of a harness by patterns, below the user's home or a directory from a variable.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use homing_supervisor::platform::paths;
use wildmatch::WildMatch;

/// Finds the files of harnesses, as the environment directs.
pub struct Paths {
    variable: Box<Variables>,
}

/// The value of a variable.
type Variables = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl Paths {
    /// Uses the environment of this process.
    pub fn from_environment() -> Paths {
        Paths::new(|name| std::env::var_os(name))
    }

    /// Uses a function that returns the value of a variable.
    pub fn new(variable: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Paths {
        Paths { variable: Box::new(variable) }
    }

    /// The files that match a pattern, most recently modified first. `{session}` is the session, `{session:8}` its
    /// first 8 characters, `*` any text within a name. A pattern begins with `~/`, or with `${VARIABLE:-~/default}`.
    pub(crate) fn find(&self, pattern: &str, session: &str) -> Vec<PathBuf> {
        if session.contains(['*', '?']) || !paths::is_one_name(session) {
            return Vec::new();
        }
        let beginning: String = session.chars().take(8).collect();
        let Some((root, rest)) = self.root_of(pattern) else { return Vec::new() };
        let mut found = vec![root];
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            let part = part.replace("{session}", session).replace("{session:8}", &beginning);
            found = found.iter().flat_map(|folder| inside(folder, &part)).collect();
        }
        found.retain(|path| path.exists());
        found.sort_by_key(|path| std::cmp::Reverse(modified(path)));
        found
    }

    /// The path of a pattern without `*` that begins with `~/`, or with `${VARIABLE:-~/default}`. `None` for another
    /// text, and if the user's home is needed and not set. The file does not have to exist.
    pub fn resolve(&self, pattern: &str) -> Option<PathBuf> {
        if !pattern.starts_with(['~', '$']) {
            return None;
        }
        let (root, rest) = self.root_of(pattern)?;
        Some(root.join(rest.trim_start_matches('/')))
    }

    /// The root directory of a pattern, and the rest of the pattern.
    fn root_of<'a>(&self, pattern: &'a str) -> Option<(PathBuf, &'a str)> {
        if let Some((variable, (default, rest))) = pattern
            .strip_prefix("${")
            .and_then(|inner| inner.split_once(":-"))
            .and_then(|(variable, inner)| Some((variable, inner.split_once('}')?)))
        {
            let set = (self.variable)(variable).filter(|value| !value.is_empty());
            let root = match set {
                Some(value) => PathBuf::from(value),
                None => self.root_of(default).map(|(root, more)| root.join(more))?,
            };
            return Some((root, rest));
        }
        match pattern.strip_prefix('~') {
            Some(rest) => {
                let home = (self.variable)(paths::HOME_VARIABLE).filter(|home| !home.is_empty())?;
                Some((PathBuf::from(home), rest.trim_start_matches('/')))
            }
            None => Some((PathBuf::from("/"), pattern)),
        }
    }
}

impl fmt::Debug for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paths").finish_non_exhaustive()
    }
}

/// The entries of a folder that match a name.
fn inside(folder: &Path, name: &str) -> Vec<PathBuf> {
    if !name.contains('*') {
        return vec![folder.join(name)];
    }
    let pattern = WildMatch::new(name);
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| pattern.matches(name)))
        .map(|entry| entry.path())
        .collect()
}

pub(crate) fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_overrides_the_home_and_a_session_stays_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let at_home = write(".agent/projects/a/s-1.jsonl");
        let elsewhere = write("other/projects/b/s-1.jsonl");
        let home = folder.path().as_os_str().to_owned();
        let other = folder.path().join("other").into_os_string();
        let with = move |set: bool| {
            let (home, other) = (home.clone(), other.clone());
            Paths::new(move |name| match name {
                paths::HOME_VARIABLE => Some(home.clone()),
                "AGENT_DIR" if set => Some(other.clone()),
                _ => None,
            })
        };
        let pattern = "${AGENT_DIR:-~/.agent}/projects/*/{session}.jsonl";
        assert_eq!(with(false).find(pattern, "s-1"), [at_home]);
        assert_eq!(with(true).find(pattern, "s-1"), [elsewhere]);
        assert_eq!(
            with(false).resolve("${AGENT_DIR:-~}/.agent.json"),
            Some(folder.path().join(".agent.json"))
        );
        assert_eq!(
            with(true).resolve("${AGENT_DIR:-~}/.agent.json"),
            Some(folder.path().join("other/.agent.json"))
        );
        assert_eq!(with(true).resolve(".agent.json"), None);
        assert_eq!(with(true).find("~/other/projects/b/{session:8}*", "s-1").len(), 1);
        for session in ["s-2", "*", "../b/s-1", "..", ""] {
            assert!(with(true).find(pattern, session).is_empty(), "{session:?}");
        }
    }
}
