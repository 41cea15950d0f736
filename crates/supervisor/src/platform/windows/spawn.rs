//! Starts programs that go on after this process. Options of programs that the standard library offers for some systems
//! only, and how they ended.
#![allow(unsafe_code, reason = "GetConsoleCP, TerminateProcess, and borrowing the handle of standard input")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Console::{GetConsoleCP, GetStdHandle, STD_INPUT_HANDLE};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, CREATE_SUSPENDED, TerminateProcess,
};

use super::super::start_refused::StartRefused;
use super::broker::{self, StartRequest};
use super::create_process::{NewProcess, environment_block};
use super::file::open_null;
use super::job_object::{is_in_any, is_this_process_inside_one};
use super::pipe::{PipeReader, PipeWriter};
use super::win32::{is_signaled, raw};
use super::{command_line, placement};
use crate::names::JOB_VARIABLE;

/// A detached program has a console without a window, which the programs that it starts share, and its own group, so that
/// Ctrl-C in a terminal does not reach it.
const DETACHED: u32 = CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP;

/// What the user can do if no process may leave the job object of this one.
pub(super) const BREAKAWAY_HINT: &str = "start homing from a terminal outside of that program, or let the program make \
     its job object with JOB_OBJECT_LIMIT_BREAKAWAY_OK";

/// A program that goes on after this process has ended, and gets no open files of it except those named here.
#[derive(Debug)]
pub struct DetachedProgram<'a> {
    /// Its file.
    pub program: &'a Path,
    /// Its name in lists of processes. Windows shows the name of the file instead.
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

/// A program that [`start`] has started.
#[derive(Debug)]
pub struct DetachedChild {
    process: OwnedHandle,
}

impl DetachedChild {
    /// Returns true: a program on Windows does not detach by a fork, and there is nothing to reap.
    pub fn is_gone_after_fork(&mut self) -> bool {
        true
    }

    /// Returns whether it has ended.
    pub fn is_reaped(&mut self) -> bool {
        is_signaled(&self.process)
    }
}

impl AsHandle for DetachedChild {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }
}

/// Starts a program. It inherits its three standard handles and no others: a pipe of this process that stays open in it
/// could block the program that reads the pipe.
///
/// If this process is in a job object, the program must not be, or it would end with it. If this process belongs to a job
/// of homing, the supervisor of that job starts the program. Otherwise the program leaves the job object, if that allows
/// it.
///
/// # Errors
/// If it cannot be executed. [`io::ErrorKind::PermissionDenied`] if no process may leave the job object of this one.
pub fn start(program: DetachedProgram<'_>) -> io::Result<DetachedChild> {
    let null = open_null()?;
    let stdin = match program.stdin {
        DetachedInput::Null => None,
        DetachedInput::Inherited => standard_input(),
    };
    let stdout = program.stdout.as_ref().map(AsHandle::as_handle);
    let stderr = match &program.stderr {
        DetachedError::Null => None,
        DetachedError::Reports(pipe) => Some(pipe.as_handle()),
        DetachedError::Log(file) => Some(file.as_handle()),
    };
    let standard = [stdin, stdout, stderr].map(|handle| handle.unwrap_or_else(|| null.as_handle()));
    let request = StartRequest {
        program: program.program.as_os_str().to_owned(),
        command_line: command_line::join(program.program.as_os_str(), program.arguments)?,
        environment: environment_block(program.variables)?,
        directory: std::env::current_dir().map_or_else(|_| OsString::new(), PathBuf::into_os_string),
    };
    let process = if is_this_process_inside_one() {
        start_outside(&request, standard)?
    } else {
        create(&request, standard, DETACHED)?
    };
    Ok(DetachedChild { process })
}

/// Starts a program outside of the job object of this process.
fn start_outside(request: &StartRequest, standard: [BorrowedHandle<'_>; 3]) -> io::Result<OwnedHandle> {
    if let Some(job) = std::env::var(JOB_VARIABLE).ok().and_then(|id| id.parse().ok())
        && let Some(answer) = broker::ask(job, request, standard)
    {
        return answer;
    }
    match create(request, standard, DETACHED | CREATE_BREAKAWAY_FROM_JOB) {
        Err(error) if is_access_denied(&error) => {}
        other => return other,
    }
    // A job object from which all new processes leave by themselves refuses the request to leave.
    if placement::foreign_job().is_some_and(|job| job.allows_breakaway) {
        return create(request, standard, DETACHED);
    }
    let reason =
        "this process is in a job object that no process may leave, so the started one would end with it";
    Err(StartRefused::error(io::ErrorKind::PermissionDenied, reason.to_owned(), BREAKAWAY_HINT))
}

/// What becomes of a program that this process starts from inside a job object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// It runs outside of all job objects.
    Outside,
    /// It leaves the innermost job object, and stays in another one around it.
    StillInside,
    /// No process may leave, so [`start`] refuses.
    Refused,
}

/// Tries what becomes of a program: creates a process that never runs, and ends it. The limits of the innermost job object do
/// not show it, because there may be others around it.
///
/// # Errors
/// If no process can be created.
pub(super) fn try_escape() -> io::Result<Escape> {
    let null = open_null()?;
    let program = this_program();
    let request = StartRequest {
        command_line: command_line::join(program.as_os_str(), &[""; 0])?,
        program: program.into_os_string(),
        environment: environment_block(&[])?,
        directory: OsString::new(),
    };
    let standard = [null.as_handle(), null.as_handle(), null.as_handle()];
    let try_with = |flags: u32| -> io::Result<bool> {
        let created = new_process(&request, standard, DETACHED | CREATE_SUSPENDED | flags).create()?;
        let is_inside = is_in_any(&created.process);
        // SAFETY: the handle is open. The process has not run.
        unsafe { TerminateProcess(raw(&created.process), 0) };
        Ok(is_inside)
    };
    match try_with(CREATE_BREAKAWAY_FROM_JOB) {
        Ok(false) => Ok(Escape::Outside),
        Ok(true) => Ok(Escape::StillInside),
        // A job object from which all new processes leave by themselves refuses the request to leave.
        Err(error) if is_access_denied(&error) => {
            Ok(if try_with(0)? { Escape::Refused } else { Escape::Outside })
        }
        Err(error) => Err(error),
    }
}

fn is_access_denied(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed())
}

fn create(request: &StartRequest, standard: [BorrowedHandle<'_>; 3], flags: u32) -> io::Result<OwnedHandle> {
    Ok(new_process(request, standard, flags).create()?.process)
}

/// Returns the process that a request describes.
fn new_process<'a>(
    request: &'a StartRequest,
    standard: [BorrowedHandle<'a>; 3],
    flags: u32,
) -> NewProcess<'a> {
    NewProcess {
        program: Path::new(&request.program),
        command_line: &request.command_line,
        directory: Some(Path::new(&request.directory)).filter(|path| !path.as_os_str().is_empty()),
        environment: Some(&request.environment),
        standard,
        job: None,
        flags,
    }
}

/// Creates the process that another process asked for. This process is not in the job object of that one.
pub(super) fn create_requested(
    request: &StartRequest,
    standard: [BorrowedHandle<'_>; 3],
) -> io::Result<super::create_process::CreatedProcess> {
    new_process(request, standard, DETACHED).create()
}

/// Returns the standard input of this process; `None` if it has none.
pub(super) fn standard_input() -> Option<BorrowedHandle<'static>> {
    // SAFETY: the standard handles of this process stay open; the module `stdin` replaces this one only before it is used.
    unsafe {
        let handle = GetStdHandle(STD_INPUT_HANDLE);
        (!handle.is_null() && handle != INVALID_HANDLE_VALUE).then(|| BorrowedHandle::borrow_raw(handle))
    }
}

/// Returns the path of the program that this process runs. A running program's file cannot be replaced, only renamed.
pub fn this_program() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

/// Does nothing: Windows shows the file name of a program in lists of processes.
pub fn set_name<'a>(command: &'a mut Command, _name: &str) -> &'a mut Command {
    command
}

/// Makes the program the leader of its own process group. It does not run until
/// [`ProcessGroup::led_by`](super::process::ProcessGroup::led_by) is called.
pub fn own_group(command: &mut Command) -> &mut Command {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED | console_flags())
}

/// Returns the flag with which a new process gets a console of its own, without a window, if this process has none to share,
/// as a monitor that the Task Scheduler has started: otherwise the system would open a window. A detached supervisor has
/// one: the process that serves a console of the job's own would be a process of the job.
pub(super) fn console_flags() -> u32 {
    // SAFETY: the call has no arguments.
    let has_console = unsafe { GetConsoleCP() } != 0;
    if has_console { 0 } else { CREATE_NO_WINDOW }
}

/// Returns the signal that ended a program: none, Windows has no signals.
pub fn ending_signal(_status: ExitStatus) -> Option<i32> {
    None
}

/// Leaves the working directory of the process that started this one, which could not be removed otherwise. A detached
/// program has its own console and group already.
pub fn leave_session() {
    let root = std::env::var_os("SystemRoot").map_or_else(|| PathBuf::from(r"C:\"), PathBuf::from);
    let _ = std::env::set_current_dir(root);
}
