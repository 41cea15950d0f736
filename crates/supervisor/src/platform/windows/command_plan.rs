//! Resolves the command of a job to the file of its program and one command line.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use homing_core::{JobCommand, Shell, StartError};

use super::create_process::without_verbatim_prefix;
use super::program_search::{self, Program};
use super::{command_line, shell};

/// The data for the process of a job.
#[derive(Debug)]
pub struct CommandPlan {
    /// The file of the program.
    pub(super) program: PathBuf,
    /// Its command line, without NUL.
    pub(super) command_line: Vec<u16>,
    /// The working directory.
    pub(super) directory: PathBuf,
}

impl CommandPlan {
    /// Resolves a command to a program and its command line. `script` is the file of the command if the command is a
    /// script, which `shell` runs.
    ///
    /// # Errors
    /// If the working directory or the program does not exist, or an argument cannot be passed safely.
    pub fn new(
        command: &JobCommand,
        shell: Shell,
        script: &Path,
        cwd: &Path,
    ) -> Result<CommandPlan, StartError> {
        let directory = working_directory(cwd)?;
        let (program, command_line) = match command {
            JobCommand::Script(_) => script_plan(shell, script).map_err(cannot_run("a shell"))?,
            JobCommand::Argv(words) => {
                let plan = program_plan(&words[0], &words[1..], &directory);
                plan.map_err(cannot_run(&words[0]))?
            }
        };
        Ok(CommandPlan { program, command_line, directory })
    }
}

/// Returns the directory as CreateProcessW takes it.
fn working_directory(cwd: &Path) -> Result<PathBuf, StartError> {
    let go_to = |error: io::Error| start_error(&format!("go to {}", cwd.display()), &error);
    let metadata = std::fs::metadata(cwd).map_err(go_to)?;
    if !metadata.is_dir() {
        return Err(go_to(io::ErrorKind::NotADirectory.into()));
    }
    Ok(PathBuf::from(without_verbatim_prefix(cwd)))
}

fn script_plan(shell: Shell, script: &Path) -> io::Result<(PathBuf, Vec<u16>)> {
    let program = shell::find(shell)?;
    let line = match shell {
        Shell::Cmd => command_line::script(program.as_os_str(), &without_verbatim_prefix(script))?,
        Shell::Bash | Shell::PowerShell => {
            command_line::join(program.as_os_str(), &shell::command_line(shell, script))?
        }
    };
    Ok((program, line))
}

fn program_plan(name: &str, arguments: &[String], directory: &Path) -> io::Result<(PathBuf, Vec<u16>)> {
    match program_search::find(name, directory) {
        Some(Program::Executable(file)) => {
            let line = command_line::join(file.as_os_str(), arguments)?;
            Ok((file, line))
        }
        Some(Program::BatchFile(file)) => {
            let interpreter = shell::command_interpreter()?;
            let plain: OsString = without_verbatim_prefix(&file);
            let line = command_line::batch(interpreter.as_os_str(), &plain, arguments)?;
            Ok((interpreter, line))
        }
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no such program (looked for .com, .exe, .bat and .cmd files as PATH and PATHEXT say)",
        )),
    }
}

fn cannot_run(program: &str) -> impl Fn(io::Error) -> StartError {
    move |error| start_error(&format!("run {program}"), &error)
}

fn start_error(action: &str, error: &io::Error) -> StartError {
    let reason = error.to_string();
    // "The system cannot find the path specified. (os error 3)": the number has a field of its own.
    let reason = reason.split(" (os error").next().unwrap_or(&reason);
    StartError { message: format!("cannot {action}: {reason}"), errno: error.raw_os_error() }
}
