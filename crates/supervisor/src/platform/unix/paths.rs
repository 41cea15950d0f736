//! Directories of this user, as the XDG Base Directory Specification names them, and programs in `PATH`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::names::LEDGER;

/// Longest path of a home, in bytes, and the program with this limit. SQLite opens no file whose path, with 8 bytes for
/// `-journal`, is longer than 512 (`MAX_PATHNAME` in os_unix.c); the ledger's name and the slash before it take 10.
pub const LONGEST_HOME: (usize, &str) = (512 - 8 - LEDGER.len() - 1, "SQLite");

/// The variable with the user's home directory.
pub const HOME_VARIABLE: &str = "HOME";

/// The directory of this program's files below the directories of the specification.
const OWN: &str = "homing";

/// Returns the user's home directory; `None` if it is not known.
pub fn home_directory() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Returns the directory of data that is kept between runs: `$XDG_STATE_HOME/homing`, else `~/.local/state/homing`.
pub fn state_directory() -> Option<PathBuf> {
    base("XDG_STATE_HOME", ".local/state").map(|base| base.join(OWN))
}

/// Returns the directory of the configuration: `$XDG_CONFIG_HOME/homing`, else `~/.config/homing`.
pub fn config_directory() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config").map(|base| base.join(OWN))
}

/// A base directory: the value of a variable, else a directory in the user's home. The specification ignores values that
/// are not absolute.
fn base(variable: &str, default: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| home_directory().map(|home| home.join(default)))
}

/// Finds the first executable file with this name in `PATH`. Skips relative folders.
pub fn find_program(name: &str) -> Option<PathBuf> {
    find_programs(name).into_iter().next()
}

/// Finds every executable file with this name in `PATH`, in its order. Skips relative folders.
pub fn find_programs(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let files =
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    files.filter(|file| is_executable(file)).collect()
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Returns what to start for the name or path of a program, with [`Command`](std::process::Command). The system searches
/// `PATH` itself.
pub fn program_to_start(name: &str) -> PathBuf {
    name.into()
}

/// Whether a text can be the name of one file, without the path to it.
pub fn is_one_name(text: &str) -> bool {
    !text.contains(['/', '\0']) && !matches!(text, "" | "." | "..")
}
