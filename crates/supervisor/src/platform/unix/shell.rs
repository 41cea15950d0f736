//! The shells that run the scripts of jobs.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use homing_core::Shell;

use super::paths::find_program;

/// Returns the shell of scripts for which nobody chose one.
pub fn default() -> Shell {
    Shell::Bash
}

/// Returns the program of a shell.
///
/// # Errors
/// [`NotFound`](io::ErrorKind::NotFound) if it is not installed, [`Unsupported`](io::ErrorKind::Unsupported) if it does
/// not exist for this system.
pub fn find(shell: Shell) -> io::Result<PathBuf> {
    let not_found = |text: &str| io::Error::new(io::ErrorKind::NotFound, text.to_owned());
    match shell {
        // POSIX requires /bin/sh in all but name.
        Shell::Bash => Ok(find_program("bash").or_else(|| find_program("sh")).unwrap_or("/bin/sh".into())),
        Shell::Cmd => Err(io::Error::new(io::ErrorKind::Unsupported, "only Windows has it")),
        Shell::PowerShell => find_program("pwsh").ok_or_else(|| not_found("pwsh is not installed")),
    }
}

/// Returns the arguments with which a shell runs a script.
pub fn command_line(shell: Shell, script: &Path) -> Vec<OsString> {
    let options: &[&str] = match shell {
        Shell::Bash | Shell::Cmd => &[],
        Shell::PowerShell => &["-NoLogo", "-NoProfile", "-NonInteractive", "-File"],
    };
    options.iter().map(OsString::from).chain([script.into()]).collect()
}
