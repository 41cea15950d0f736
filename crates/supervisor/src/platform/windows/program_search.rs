//! Finds the file of a program by its name, as `where` does: in the directories of PATH, with the endings of PATHEXT.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Endings of programs if the environment has no PATHEXT.
const DEFAULT_ENDINGS: &str = ".COM;.EXE;.BAT;.CMD";

/// Endings that CreateProcessW runs itself.
const PROGRAMS: [&str; 2] = ["com", "exe"];

/// Endings of files that `cmd.exe` runs.
const BATCH_FILES: [&str; 2] = ["bat", "cmd"];

/// A file that runs when it is named as a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// CreateProcessW runs it.
    Executable(PathBuf),
    /// `cmd.exe` runs it.
    BatchFile(PathBuf),
}

/// Finds a program by its name, with the PATH and PATHEXT of this process. A name with a separator is a path, relative to
/// `directory`. Otherwise the directories of PATH are searched, and never `directory` itself: a downloaded file there
/// must not replace a program.
pub(super) fn find(name: &str, directory: &Path) -> Option<Program> {
    let endings = std::env::var("PATHEXT").unwrap_or_else(|_| DEFAULT_ENDINGS.to_owned());
    find_with(name, directory, &search_path(), &endings)
}

/// Returns the directories of PATH and, behind them, those of the system.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    if let Some(windows) = std::env::var_os("SystemRoot") {
        let windows = PathBuf::from(windows);
        directories.extend([windows.join("System32"), windows]);
    }
    directories
}

fn find_with(name: &str, directory: &Path, path: &[PathBuf], endings: &str) -> Option<Program> {
    let is_path =
        name.contains(['\\', '/', ':']) || Path::new(name).components().next() == Some(Component::CurDir);
    if is_path {
        let file = directory.join(name);
        // CreateProcessW also runs programs without a known ending, if they are named exactly.
        return with_endings(&file, endings).or_else(|| is_file(&file).then_some(Program::Executable(file)));
    }
    path.iter().find_map(|directory| with_endings(&directory.join(name), endings))
}

/// Returns the file itself if it has an ending of a program, or the first file with one of the endings appended.
fn with_endings(file: &Path, endings: &str) -> Option<Program> {
    let exact = as_program(file);
    exact.or_else(|| {
        endings.split(';').filter(|ending| ending.starts_with('.')).find_map(|ending| {
            let mut name: OsString = file.as_os_str().to_owned();
            name.push(ending.to_ascii_lowercase());
            as_program(Path::new(&name))
        })
    })
}

fn as_program(file: &Path) -> Option<Program> {
    let has_one_of = |endings: [&str; 2]| {
        let ending = file.extension().and_then(OsStr::to_str);
        ending.is_some_and(|ending| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
    };
    if has_one_of(PROGRAMS) && is_file(file) {
        Some(Program::Executable(file.to_owned()))
    } else if has_one_of(BATCH_FILES) && is_file(file) {
        Some(Program::BatchFile(file.to_owned()))
    } else {
        None
    }
}

/// Whether it is a file. An alias of an app of the store is one too, but cannot be followed.
fn is_file(path: &Path) -> bool {
    fs::metadata(path).or_else(|_| fs::symlink_metadata(path)).is_ok_and(|metadata| !metadata.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_searched_as_where_does() {
        let root = std::env::temp_dir().join(format!("homing-search-{}", std::process::id()));
        let (first, second) = (root.join("first"), root.join("second"));
        for directory in [&first, &second] {
            fs::create_dir_all(directory).unwrap();
        }
        for file in ["first/tool.cmd", "second/tool.exe", "second/py3.11.exe", "second/note.txt", "here.exe"]
        {
            fs::write(root.join(file), "").unwrap();
        }
        let path = [first.clone(), second.clone()];
        let find = |name| find_with(name, &root, &path, ".COM;.EXE;.BAT;.CMD;.VBS");
        assert_eq!(find("tool"), Some(Program::BatchFile(first.join("tool.cmd"))));
        assert_eq!(find("tool.exe"), Some(Program::Executable(second.join("tool.exe"))));
        assert_eq!(find("py3.11"), Some(Program::Executable(second.join("py3.11.exe"))));
        assert_eq!(find("note.txt"), None);
        assert_eq!(find("here"), None, "the working directory is not searched");
        assert_eq!(find(r".\here"), Some(Program::Executable(root.join(r".\here.exe"))));
        assert_eq!(find(r"second\note.txt"), Some(Program::Executable(root.join(r"second\note.txt"))));
        fs::remove_dir_all(root).unwrap();
    }
}
