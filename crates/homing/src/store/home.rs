//! The home: the directory of all data. homing refuses a home that another user owns or can write to.

use std::io;
use std::path::{Path, PathBuf};

use homing_supervisor::DiskError;
use homing_supervisor::layout::{Directory, INBOX, JOBS, LEDGER};
use homing_supervisor::platform::access::private_directory;
use homing_supervisor::platform::file::make_private_directory;
use homing_supervisor::platform::file_id::FileId;
use homing_supervisor::platform::paths::LONGEST_HOME;
use homing_supervisor::platform::{errors, paths};

use crate::{Error, Hint, Result};

/// The environment variable with the path of the home.
pub const HOME_VARIABLE: &str = "HOMING_HOME";

/// An open home.
#[derive(Debug)]
pub struct Home {
    /// The home itself.
    pub root: Directory,
    /// The directory of all jobs.
    pub jobs: Directory,
    /// The inbox: one entry for each changed job.
    pub inbox: Directory,
    opened: [Option<FileId>; 3],
}

impl Home {
    /// Opens a home and creates it if it does not exist.
    ///
    /// # Errors
    /// [`Error::HomeRefused`] if another user owns it or can write to it, or if it cannot be created.
    pub fn open(path: &Path) -> Result<Home> {
        check_path(path)?;
        let root = match Directory::open(path) {
            Ok(root) => root,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
                make_private(path).map_err(|error| refused(path, &error))?;
                Directory::open(path).map_err(|error| refused(path, &error.source))?
            }
            Err(error) => return Err(refused(path, &error.source)),
        };
        check_private(&root)?;
        let jobs = open_part(&root, JOBS)?;
        let inbox = open_part(&root, INBOX)?;
        Ok(Home::of(root, jobs, inbox))
    }

    /// Opens an existing home. `None` if it does not exist or no job was ever launched in it. Never creates a home.
    ///
    /// # Errors
    /// As [`Home::open`].
    pub fn open_existing(path: &Path) -> Result<Option<Home>> {
        check_path(path)?;
        let root = match Directory::open(path) {
            Ok(root) => root,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(path, &error.source)),
        };
        check_private(&root)?;
        if !root.contains(JOBS) {
            return Ok(None);
        }
        let jobs = open_part(&root, JOBS)?;
        let inbox = open_part(&root, INBOX)?;
        Ok(Some(Home::of(root, jobs, inbox)))
    }

    fn of(root: Directory, jobs: Directory, inbox: Directory) -> Home {
        let opened = [&root, &jobs, &inbox].map(|part| FileId::of_open(part.handle()));
        Home { root, jobs, inbox, opened }
    }

    /// Fails if the home's path no longer names the open directory: jobs of one home would be recorded in the ledger of
    /// another. Each operation calls this once. It costs three system calls.
    ///
    /// # Errors
    /// [`Error::HomeReplaced`].
    pub(crate) fn check_current(&self) -> Result<()> {
        let now = [
            FileId::of_resolved_path(self.root.path()),
            FileId::of_entry(self.root.handle(), JOBS),
            FileId::of_entry(self.root.handle(), INBOX),
        ];
        // Skip the comparison if the system does not report the identity of the open directory.
        if self.opened.iter().zip(&now).all(|(opened, now)| opened.is_none() || opened == now) {
            return Ok(());
        }
        Err(Error::HomeReplaced { path: self.root.path().to_owned() })
    }

    /// Returns the home that the environment names: `$HOMING_HOME`, else `$XDG_STATE_HOME/homing`, else
    /// `~/.local/state/homing`; on Windows `%HOMING_HOME%`, else `%LOCALAPPDATA%\homing`.
    ///
    /// # Errors
    /// [`Error::NoHome`] if none of these is set.
    pub fn default_path() -> Result<PathBuf> {
        if let Some(path) = std::env::var_os(HOME_VARIABLE).filter(|path| !path.is_empty()) {
            return Ok(PathBuf::from(path));
        }
        paths::state_directory().ok_or(Error::NoHome)
    }

    /// The path of the ledger.
    pub fn ledger_path(&self) -> PathBuf {
        self.root.path().join(LEDGER)
    }
}

/// Refuses a path at which a ledger cannot be opened or a script cannot run, before anything is created there.
fn check_path(path: &Path) -> Result<()> {
    if !path.is_absolute() {
        let reason = "the path is relative".to_owned();
        let hint = Hint::Text(format!("set {HOME_VARIABLE} to an absolute path"));
        return Err(Error::HomeRefused { path: path.to_owned(), reason, hint });
    }
    let length = resolved_length(path);
    let (longest, program) = LONGEST_HOME;
    if length > longest {
        return Err(Error::HomeRefused {
            path: path.to_owned(),
            reason: format!("its resolved path has {length} bytes; {program} supports at most {longest}"),
            hint: Hint::Text(format!("set {HOME_VARIABLE} to a shorter path")),
        });
    }
    Ok(())
}

/// Returns the length of a path after its links are resolved, in bytes. The part that does not exist is not resolved.
fn resolved_length(path: &Path) -> usize {
    let existing = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    let resolved = existing.and_then(|(part, resolved)| {
        let rest = path.strip_prefix(part).ok()?;
        // Joining an empty path would append a separator.
        Some(if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) })
    });
    resolved.as_deref().unwrap_or(path).as_os_str().len()
}

/// Creates a directory that no other user can use, and the missing directories above it.
fn make_private(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    make_private_directory(path)
}

fn open_part(root: &Directory, name: &str) -> Result<Directory> {
    let part = match root.open_directory(name) {
        Ok(part) => part,
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
            if root.make_directory(name).map_err(|error| refused(root.path(), &error.source))? {
                root.sync()?;
            }
            root.open_directory(name)?
        }
        Err(error) => return Err(refused_part(error)),
    };
    check_private(&part)?;
    Ok(part)
}

/// Refuses a directory that another user owns or can write to.
fn check_private(directory: &Directory) -> Result<()> {
    let path = directory.path();
    let exposure = private_directory(directory.handle(), path);
    let Some(exposure) = exposure.map_err(|e| DiskError::new("inspect", path, e))? else { return Ok(()) };
    let hint = if exposure.is_foreign { Hint::SetHome } else { Hint::Text(exposure.hint) };
    Err(Error::HomeRefused { path: path.to_owned(), reason: exposure.reason, hint })
}

fn refused(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::NotADirectory => Hint::Text(format!("set {HOME_VARIABLE} to a directory")),
        io::ErrorKind::StorageFull => Hint::Text("the disk is full".to_owned()),
        _ => Hint::UseWritableHome,
    };
    Error::HomeRefused { path: path.to_owned(), reason: error.to_string(), hint }
}

fn refused_part(error: DiskError) -> Error {
    let hint = if errors::is_link_or_not_directory(&error.source) {
        Hint::Text(format!(
            "it is a link or not a directory; inspect it, then remove {}",
            error.path.display()
        ))
    } else if errors::is_access_denied(&error.source) {
        Hint::Text("check its owner and mode".to_owned())
    } else if errors::is_descriptor_shortage(&error.source) {
        Hint::Text("this process or the system has too many open files".to_owned())
    } else {
        Hint::UseWritableHome
    };
    Error::HomeRefused { path: error.path, reason: error.source.to_string(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a path below `folder` of exactly this many bytes. None of its directories exists.
    fn path_of(folder: &Path, bytes: usize) -> PathBuf {
        let mut path = folder.to_owned();
        while bytes - path.as_os_str().len() > 201 {
            path.push("a".repeat(99));
        }
        path.push("b".repeat(bytes - path.as_os_str().len() - 1));
        path
    }

    #[test]
    fn a_home_whose_ledger_could_not_be_opened_is_refused_before_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let longest = path_of(&folder, LONGEST_HOME.0);
        let options = |path: &Path| crate::OpenOptions::new().home(path).config(crate::Config::default());
        let homing = options(&longest).open().unwrap();
        assert_eq!(homing.list(&crate::ListOptions::default()).unwrap(), [], "SQLite opens its ledger");
        assert!(options(&longest).open().is_ok(), "it exists now");
        let too_long = path_of(&folder, LONGEST_HOME.0 + 1);
        let error = options(&too_long).open().unwrap_err();
        assert!(matches!(error, Error::HomeRefused { .. }), "{error}");
        assert!(error.to_string().contains("has 495 bytes; SQLite supports at most 494"), "{error}");
        assert!(!too_long.exists());
        let link = folder.join("link");
        std::os::unix::fs::symlink(too_long.parent().unwrap(), &link).unwrap();
        std::fs::create_dir_all(too_long.parent().unwrap()).unwrap();
        let through_a_link = link.join(too_long.file_name().unwrap());
        assert!(matches!(options(&through_a_link).open(), Err(Error::HomeRefused { .. })));
        assert!(!too_long.exists());
    }

    #[test]
    fn opening_what_exists_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        assert!(Home::open_existing(&path).unwrap().is_none());
        assert!(!path.exists());
        make_private(&path).unwrap();
        assert!(Home::open_existing(&path).unwrap().is_none(), "nothing was launched in it");
        assert_eq!(path.read_dir().unwrap().count(), 0);
        Home::open(&path).unwrap();
        assert!(Home::open_existing(&path).unwrap().is_some());
    }
}
