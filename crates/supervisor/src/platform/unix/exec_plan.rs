//! Resolves the command of a job to the files that may be its program, as execvp(3) does.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use homing_core::{JobCommand, Shell, StartError};

use super::shell;

/// Search path if the environment has no `PATH`, as in execvp(3).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The data for the child. It is created before the fork, because the child must not allocate.
#[derive(Debug)]
pub struct CommandPlan {
    /// Files to try, in the order of `PATH`.
    pub(super) candidates: Vec<Candidate>,
    /// The arguments after the program's name.
    pub(super) arguments: Vec<CString>,
    /// The working directory.
    pub(super) cwd: CString,
}

/// A file to execute, and its `argv[0]`. Programs such as BusyBox depend on their name.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The file.
    pub(super) file: CString,
    /// Its `argv[0]`.
    pub(super) name: CString,
}

impl CommandPlan {
    /// Resolves a command to files, and creates all strings that the child needs. `shell` runs the file `script` if the
    /// command is a script.
    ///
    /// # Errors
    /// If the command contains a NUL byte, or no such shell is installed.
    pub fn new(
        command: &JobCommand,
        shell: Shell,
        script: &Path,
        cwd: &Path,
    ) -> Result<CommandPlan, StartError> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let (candidates, arguments) = match command {
            JobCommand::Script(_) if shell != Shell::Bash => {
                let file = shell::find(shell).map_err(|error| cannot_run(shell, &error))?;
                let shell_words = candidates(shell.as_str(), vec![file.into()])?;
                (shell_words, shell::command_line(shell, script))
            }
            JobCommand::Script(_) => {
                let mut shells = candidates("bash", search_path("bash", &path))?;
                shells.extend(candidates("sh", search_path("sh", &path))?);
                shells.extend(candidates("sh", vec!["/bin/sh".into()])?);
                (shells, shell::command_line(shell, script))
            }
            JobCommand::Argv(words) => {
                let arguments: Vec<_> = words.iter().skip(1).map(OsString::from).collect();
                (candidates(&words[0], search_path(&words[0], &path))?, arguments)
            }
        };
        Ok(CommandPlan {
            candidates,
            arguments: c_strings(arguments)?,
            cwd: c_string(cwd.as_os_str().to_owned())?,
        })
    }
}

/// Candidates for these files, executed with this name.
fn candidates(name: &str, files: Vec<OsString>) -> Result<Vec<Candidate>, StartError> {
    files
        .into_iter()
        .map(|file| Ok(Candidate { file: c_string(file)?, name: c_string(name.into())? }))
        .collect()
}

/// Returns the files that a program name may refer to, as in execvp(3).
fn search_path(program: &str, path: &OsStr) -> Vec<OsString> {
    if program.contains('/') {
        return vec![program.into()];
    }
    let directories = path.as_bytes().split(|&byte| byte == b':');
    directories
        .map(|directory| {
            let mut file = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
            file.push(b'/');
            file.extend_from_slice(program.as_bytes());
            OsString::from_vec(file)
        })
        .collect()
}

fn cannot_run(shell: Shell, error: &io::Error) -> StartError {
    StartError { message: format!("cannot run {shell}: {error}"), errno: error.raw_os_error() }
}

fn c_strings(strings: impl IntoIterator<Item = OsString>) -> Result<Vec<CString>, StartError> {
    strings.into_iter().map(c_string).collect()
}

fn c_string(string: OsString) -> Result<CString, StartError> {
    CString::new(string.into_vec())
        .map_err(|_| StartError { message: "its command contains a NUL byte".to_owned(), errno: None })
}
