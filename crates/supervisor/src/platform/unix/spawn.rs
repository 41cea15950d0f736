//! Starts programs that go on after this process. Options of programs that the standard library offers for some systems
//! only, and how they ended.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::pipe::{PipeReader, PipeWriter};

pub use super::own_program::this_program;

/// A program that goes on after this process has ended, and gets no open files of it except those named here.
#[derive(Debug)]
pub struct DetachedProgram<'a> {
    /// Its file.
    pub program: &'a Path,
    /// Its name in lists of processes.
    pub name: &'a str,
    /// Its arguments after the name.
    pub arguments: &'a [&'a OsStr],
    /// Changes of the environment, in this order: a variable is set to a value, or removed.
    pub variables: &'a [(&'a str, Option<&'a OsStr>)],
    /// Its standard input.
    pub stdin: DetachedInput,
    /// Its standard output; the null device without one.
    pub stdout: Option<PipeWriter>,
    /// Its standard error.
    pub stderr: DetachedError,
}

/// The standard input of a [`DetachedProgram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetachedInput {
    /// The null device.
    Null,
    /// That of this process.
    Inherited,
}

/// The standard error of a [`DetachedProgram`].
#[derive(Debug)]
pub enum DetachedError {
    /// The null device.
    Null,
    /// A pipe that the program reads: the launcher of a job reports there how far it has read the output.
    Reports(PipeReader),
    /// A file that it writes to.
    Log(File),
}

/// A program that [`start`] has started and that this process has to reap.
#[derive(Debug)]
pub struct DetachedChild {
    child: Child,
}

impl DetachedChild {
    /// Waits until a program that was told to detach by a fork has done so. Returns whether there is nothing left to reap.
    pub fn is_gone_after_fork(&mut self) -> bool {
        self.child.wait().is_ok()
    }

    /// Reaps it if it has ended. Returns whether there is nothing left to reap.
    pub fn is_reaped(&mut self) -> bool {
        // An error means that another thread has reaped it.
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// Starts a program. It leaves the session and the working directory itself.
///
/// # Errors
/// If it cannot be executed, or the limit of processes or descriptors is reached.
pub fn start(program: DetachedProgram<'_>) -> io::Result<DetachedChild> {
    // Do not use `pre_exec` or similar: without it, this is posix_spawn(3), which does not copy the page tables of a large
    // host.
    let mut command = Command::new(program.program);
    for (name, value) in program.variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let stdin = match program.stdin {
        DetachedInput::Null => Stdio::null(),
        DetachedInput::Inherited => Stdio::inherit(),
    };
    let stderr = match program.stderr {
        DetachedError::Null => Stdio::null(),
        DetachedError::Reports(pipe) => pipe.into(),
        DetachedError::Log(file) => file.into(),
    };
    let child = set_name(&mut command, program.name)
        .args(program.arguments)
        .stdin(stdin)
        .stdout(program.stdout.map_or_else(Stdio::null, Stdio::from))
        .stderr(stderr)
        .spawn()?;
    Ok(DetachedChild { child })
}

/// Gives the program another name in lists of processes (its `argv[0]`).
pub fn set_name<'a>(command: &'a mut Command, name: &str) -> &'a mut Command {
    command.arg0(name)
}

/// Makes the program the leader of its own process group ([`ProcessGroup`](super::process::ProcessGroup)).
pub fn own_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Returns the signal that ended a program; `None` if it exited by itself.
pub fn ending_signal(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Leaves the session, the terminal and the working directory of the process that started this one. A process that already
/// leads a session keeps it.
pub fn leave_session() {
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
}
