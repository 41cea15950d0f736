//! Directories of this user, and programs in `PATH`.
#![allow(unsafe_code, reason = "SHGetKnownFolderPath has no safe wrapper")]

use std::ffi::{OsStr, OsString};
use std::os::windows::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::Win32::UI::Shell::{
    FOLDERID_LocalAppData, FOLDERID_RoamingAppData, KF_FLAG_DEFAULT, SHGetKnownFolderPath,
};
use windows_sys::core::GUID;

use super::file_name::reason_against;

/// Longest path of a home, in bytes, and the program with this limit. `cmd.exe` runs no script whose path is longer than 259
/// (`MAX_PATH`), that of Wine none longer than 258; resolved paths have four more bytes, `\\?\`.
pub const LONGEST_HOME: (usize, &str) =
    (258 - r"\jobs\0123456789ab\command.cmd".len() + r"\\?\".len(), "cmd.exe");

/// The variable with the user's home directory.
pub const HOME_VARIABLE: &str = "USERPROFILE";

/// The directory of this program's files below the directories of applications.
const OWN: &str = "homing";

/// Extensions of programs if `PATHEXT` is not set.
const DEFAULT_EXTENSIONS: &str = ".COM;.EXE;.BAT;.CMD";

/// Returns the user's home directory; `None` if it is not known.
pub fn home_directory() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Returns the directory of data that is kept between runs: `%LOCALAPPDATA%\homing`, which does not follow the user to
/// other machines.
pub fn state_directory() -> Option<PathBuf> {
    base("LOCALAPPDATA", &FOLDERID_LocalAppData).map(|base| base.join(OWN))
}

/// Returns the directory of the configuration: `%APPDATA%\homing`.
pub fn config_directory() -> Option<PathBuf> {
    base("APPDATA", &FOLDERID_RoamingAppData).map(|base| base.join(OWN))
}

/// A base directory: the value of a variable if it is absolute, else what the system knows.
fn base(variable: &str, folder: &GUID) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| known_folder(folder))
}

fn known_folder(folder: &GUID) -> Option<PathBuf> {
    let mut text = null_mut();
    // SAFETY: `text` receives a text that ends with a zero, or null.
    let result = unsafe { SHGetKnownFolderPath(folder, KF_FLAG_DEFAULT as u32, null_mut(), &raw mut text) };
    let path = (result >= 0 && !text.is_null()).then(|| {
        // SAFETY: the text ends with a zero.
        let length = (0..).take_while(|index| unsafe { *text.add(*index) } != 0).count();
        // SAFETY: the text has this length.
        PathBuf::from(OsString::from_wide(unsafe { std::slice::from_raw_parts(text, length) }))
    });
    // SAFETY: the text belongs to us, also after an error; null is allowed.
    unsafe { CoTaskMemFree(text.cast_const().cast()) };
    path
}

/// Finds the first program with this name in `PATH`, with an extension of `PATHEXT`. Skips relative folders.
pub fn find_program(name: &str) -> Option<PathBuf> {
    find_programs(name).into_iter().next()
}

/// Finds every program with this name in `PATH`, in its order, with the extensions of `PATHEXT`. Skips relative folders.
pub fn find_programs(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.flat_map(|folder| programs_at(&folder.join(name))).collect()
}

/// Returns what to start for the name or path of a program, with [`Command`](std::process::Command): the file with its
/// extension, because the system itself adds only `.exe`. The name itself if there is no such file.
pub fn program_to_start(name: &str) -> PathBuf {
    let found =
        if is_one_name(name) { find_program(name) } else { programs_at(Path::new(name)).into_iter().next() };
    found.unwrap_or_else(|| name.into())
}

/// Whether a text can be the name of one file, without the path to it.
pub fn is_one_name(text: &str) -> bool {
    reason_against(OsStr::new(text)).is_none()
}

/// The programs that a path without its extension may mean, or the path itself if it has the extension of programs.
fn programs_at(path: &Path) -> Vec<PathBuf> {
    let extensions = std::env::var("PATHEXT").unwrap_or_else(|_| DEFAULT_EXTENSIONS.to_owned());
    let extensions: Vec<&str> =
        extensions.split(';').filter_map(|extension| extension.trim().strip_prefix('.')).collect();
    let has_one =
        path.extension().is_some_and(|own| extensions.iter().any(|one| own.eq_ignore_ascii_case(one)));
    let candidates = if has_one {
        vec![path.to_owned()]
    } else {
        // `with_extension` would replace what follows a dot in the name.
        let add = |extension: &&str| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{}", extension.to_lowercase()));
            PathBuf::from(name)
        };
        extensions.iter().map(add).collect()
    };
    candidates.into_iter().filter(|candidate| candidate.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_user_are_absolute() {
        for directory in [home_directory(), state_directory(), config_directory()] {
            assert!(directory.expect("it is known").is_absolute());
        }
        assert_eq!(known_folder(&FOLDERID_LocalAppData).map(|path| path.is_absolute()), Some(true));
        assert_ne!(state_directory(), config_directory());
    }

    #[test]
    fn programs_are_found_with_their_extension() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tool", "tool.cmd", "v1.2.exe"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let at = |name: &str| programs_at(&folder.path().join(name));
        assert_eq!(at("tool"), [folder.path().join("tool.cmd")]);
        assert_eq!(at("tool.cmd"), [folder.path().join("tool.cmd")]);
        assert_eq!(at("v1.2"), [folder.path().join("v1.2.exe")]);
        assert_eq!(at("missing"), Vec::<PathBuf>::new());
        assert!(find_program("cmd").is_some_and(|path| path.is_absolute()));
        assert_eq!(program_to_start("no-such-program"), Path::new("no-such-program"));
        assert!(is_one_name("codex") && !is_one_name(r"a\b") && !is_one_name("C:") && !is_one_name("nul"));
    }
}
