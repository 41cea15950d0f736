//! The shells that run scripts: Git Bash, `cmd.exe` and PowerShell.
#![allow(unsafe_code, reason = "RegGetValueW has no safe wrapper")]

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use homing_core::Shell;
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, RRF_RT_REG_SZ, RegGetValueW,
};

use super::create_process::without_verbatim_prefix;
use super::program_search::{self, Program};
use super::win32::wide;

/// The environment variable with the path of the bash to use.
pub const BASH_VARIABLE: &str = "HOMING_BASH";

/// The key in which the installer of Git for Windows notes its directory.
const GIT_KEY: &str = r"SOFTWARE\GitForWindows";
const GIT_VALUE: &str = "InstallPath";

/// Where bash is in a directory of Git for Windows. The first starts the second, with Git's programs in its PATH.
const BASH_IN_GIT: [&str; 2] = [r"bin\bash.exe", r"usr\bin\bash.exe"];

/// Returns the shell for scripts that name none: Git Bash if there is one, otherwise `cmd.exe`. If `HOMING_BASH` names a file
/// that does not exist, still bash: the scripts of a user who has set it are not for `cmd.exe`.
pub fn default() -> Shell {
    let is_named = std::env::var_os(BASH_VARIABLE).is_some();
    if is_named || find(Shell::Bash).is_ok() { Shell::Bash } else { Shell::Cmd }
}

/// Finds the program of a shell. Bash is the file that `HOMING_BASH` names, the one of Git for Windows, or the one beside
/// the `git.exe` in PATH. The `bash.exe` of the system is never used: it runs commands in another system (WSL).
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if it is not installed.
pub fn find(shell: Shell) -> io::Result<PathBuf> {
    match shell {
        Shell::Bash => bash(),
        Shell::Cmd => command_interpreter(),
        Shell::PowerShell => {
            let found = ["pwsh.exe", "powershell.exe"].into_iter().find_map(program);
            found.ok_or_else(|| not_found("PowerShell is not installed".to_owned()))
        }
    }
}

/// Returns the arguments with which the shell runs a script. Those of `cmd.exe` have a form of their own and are only
/// described by this; `tree` builds its command line itself.
pub fn command_line(shell: Shell, script: &Path) -> Vec<OsString> {
    let script = without_verbatim_prefix(script);
    match shell {
        // Bash reads backslashes in some places as escapes.
        Shell::Bash => vec![script.to_string_lossy().replace('\\', "/").into()],
        Shell::Cmd => vec!["/d".into(), "/s".into(), "/c".into(), script],
        Shell::PowerShell => {
            let options = ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"];
            options.into_iter().map(OsString::from).chain([script]).collect()
        }
    }
}

/// Returns `cmd.exe`.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if this system has none.
pub(super) fn command_interpreter() -> io::Result<PathBuf> {
    let system =
        std::env::var_os("SystemRoot").map(|windows| PathBuf::from(windows).join(r"System32\cmd.exe"));
    // Not COMSPEC first: it may name another interpreter, whose command line has other rules.
    let found = system.filter(|file| file.is_file()).or_else(|| program("cmd.exe"));
    found.ok_or_else(|| not_found("cmd.exe was not found".to_owned()))
}

fn bash() -> io::Result<PathBuf> {
    if let Some(named) = std::env::var_os(BASH_VARIABLE).map(PathBuf::from) {
        let message = || format!("{BASH_VARIABLE} names {}, which is not a file", named.display());
        return if named.is_file() { Ok(named) } else { Err(not_found(message())) };
    }
    let installed = [HKEY_LOCAL_MACHINE, HKEY_CURRENT_USER].into_iter().filter_map(git_directory);
    // git.exe is in `cmd`, `bin` or `mingw64\bin` of that directory.
    let git = program("git.exe");
    let above = git.iter().flat_map(|git| git.ancestors().skip(2).take(2)).map(Path::to_owned);
    let found = installed
        .chain(above)
        .find_map(|git| BASH_IN_GIT.iter().map(|bash| git.join(bash)).find(|bash| bash.is_file()));
    found.ok_or_else(|| {
        not_found(format!("Git Bash is not installed; {BASH_VARIABLE} can name the bash.exe of another one"))
    })
}

/// Returns the directory of Git for Windows that is noted below this key of the registry.
fn git_directory(root: HKEY) -> Option<PathBuf> {
    let (key, value) = (wide(GIT_KEY).ok()?, wide(GIT_VALUE).ok()?);
    let mut buffer = vec![0u16; 1024];
    let mut bytes = u32::try_from(size_of_val(&buffer[..])).ok()?;
    // SAFETY: both names end with NUL; the buffer has the given size.
    let result = unsafe {
        let to = buffer.as_mut_ptr().cast();
        RegGetValueW(root, key.as_ptr(), value.as_ptr(), RRF_RT_REG_SZ, null_mut(), to, &mut bytes)
    };
    let end = buffer.iter().position(|unit| *unit == 0)?;
    (result == 0 && end > 0).then(|| OsString::from_wide(&buffer[..end]).into())
}

fn program(name: &str) -> Option<PathBuf> {
    match program_search::find(name, Path::new("")) {
        Some(Program::Executable(file)) => Some(file),
        Some(Program::BatchFile(_)) | None => None,
    }
}

fn not_found(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, message)
}
