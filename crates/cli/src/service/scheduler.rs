//! Registers the scheduled task of a service, and removes it: runs `schtasks.exe`, whose exit status says only whether it
//! succeeded, and whose messages are in the language of the user.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use homing_supervisor::platform::user;

use super::definition::{MARK, Role};
use super::task;
use crate::exit::Failure;

/// The longest message of `schtasks.exe` that is shown, in characters.
const MAX_MESSAGE: usize = 400;

/// What a user can do if the Task Scheduler refuses.
const REFUSED_HINT: &str = "check that the service Schedule runs and that your account may create scheduled tasks. Without \
                            the task, homing run starts a monitor when it needs one";

/// The variable that names a program for tests to run in place of `schtasks.exe`. A release ignores it: a user could set it for
/// an administrator's process.
const STAND_IN_VARIABLE: &str = "HOMING_TEST_SCHTASKS";

/// The Task Scheduler, with the task of this user.
#[derive(Debug)]
pub(super) struct Scheduler {
    /// The path of `schtasks.exe`.
    program: PathBuf,
    /// The name of the task.
    task: String,
}

/// What the Task Scheduler knows about the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TaskState {
    /// It is not registered, or belongs to a user whose tasks this one may not see.
    Unknown,
    /// homing has registered it.
    Own,
    /// Another program has registered it.
    Foreign,
}

impl Scheduler {
    /// The Task Scheduler of this system.
    pub(super) fn of_this_system(role: Role) -> Scheduler {
        let stand_in = std::env::var_os(STAND_IN_VARIABLE).filter(|_| cfg!(debug_assertions));
        let program = stand_in.map_or_else(system_program, PathBuf::from);
        Scheduler { program, task: task::name(role, user::effective_id()) }
    }

    /// The name of the task.
    pub(super) fn task(&self) -> &str {
        &self.task
    }

    /// Registers the task from the file of its definition, and replaces an older one. Replaces a task that homing did not
    /// register only if `force` is set.
    pub(super) fn register(&self, definition: &Path, force: bool) -> Result<(), Failure> {
        self.owned_state(force)?;
        let definition = [OsStr::new("/F"), OsStr::new("/XML"), definition.as_os_str()];
        self.run_for_task("register", "/Create", &definition)
    }

    /// Ends the task if it runs, and removes it. Returns whether it was registered. `is_expected` says that homing has
    /// registered it before. Removes a task that homing did not register only if `force` is set.
    pub(super) fn remove(&self, is_expected: bool, force: bool) -> Result<bool, Failure> {
        let state = self.owned_state(force)?;
        if state == TaskState::Unknown && !is_expected {
            self.check_that_it_answers()?;
            return Ok(false);
        }
        // A task that was removed can no longer be ended by its name. It may not run, so errors are ignored.
        let _ = self.output(&["/End", "/TN", &self.task].map(OsStr::new))?;
        match self.run_for_task("remove", "/Delete", &[OsStr::new("/F")]) {
            Ok(()) => Ok(true),
            Err(_) if state == TaskState::Unknown => {
                self.check_that_it_answers()?;
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    /// What is known about the task. Refuses a task that homing did not register, unless `force` is set.
    fn owned_state(&self, force: bool) -> Result<TaskState, Failure> {
        let state = self.state()?;
        if force || state != TaskState::Foreign {
            return Ok(state);
        }
        Err(Failure::Refused {
            code: "foreign_service",
            message: format!("the scheduled task {} was not registered by homing", self.task),
            hint: Some("use --force to replace or remove it anyway".to_owned()),
        })
    }

    fn state(&self) -> Result<TaskState, Failure> {
        let output = self.output(&["/Query", "/TN", &self.task, "/XML"].map(OsStr::new))?;
        Ok(state_of(output.status.success(), &output.stdout))
    }

    /// Distinguishes a task that is not registered from a Task Scheduler that cannot be asked.
    fn check_that_it_answers(&self) -> Result<(), Failure> {
        let output = self.output(&["/Query", "/FO", "CSV", "/NH"].map(OsStr::new))?;
        if output.status.success() {
            return Ok(());
        }
        let why = explained(&output);
        let message = format!("the Task Scheduler cannot be asked for the task {}: {why}", self.task);
        Err(Failure::Refused { code: "task_scheduler", message, hint: Some(REFUSED_HINT.to_owned()) })
    }

    /// Runs a command about the task, which must succeed.
    fn run_for_task(&self, action: &str, command: &str, options: &[&OsStr]) -> Result<(), Failure> {
        let task = [OsStr::new(command), OsStr::new("/TN"), OsStr::new(&self.task)];
        let output = self.output(&[&task[..], options].concat())?;
        if output.status.success() {
            return Ok(());
        }
        let message =
            format!("schtasks.exe cannot {action} the scheduled task {}: {}", self.task, explained(&output));
        Err(Failure::Refused { code: "task_scheduler", message, hint: Some(REFUSED_HINT.to_owned()) })
    }

    fn output(&self, arguments: &[&OsStr]) -> Result<Output, Failure> {
        // Without input: schtasks.exe may ask, and then nobody would answer.
        let output = Command::new(&self.program).args(arguments).stdin(Stdio::null()).output();
        output.map_err(|error| Failure::Refused {
            code: "task_scheduler",
            message: format!("cannot run {}: {error}", self.program.display()),
            hint: Some("without the task, homing run starts a monitor when it needs one".to_owned()),
        })
    }
}

/// The program of the system, never one of the same name in PATH or in the current directory. The system sets this variable,
/// and users cannot change it for other processes.
fn system_program() -> PathBuf {
    let system = std::env::var_os("SystemRoot").map(PathBuf::from).filter(|root| root.is_absolute());
    let root = system.unwrap_or_else(|| PathBuf::from(r"C:\Windows"));
    root.join("System32").join("schtasks.exe")
}

/// What the answer to the question for the definition of the task says. The definition is in the code page of the console,
/// which keeps ASCII. An empty answer says nothing.
fn state_of(is_success: bool, answer: &[u8]) -> TaskState {
    let definition = String::from_utf8_lossy(answer);
    match (is_success, definition.trim().is_empty()) {
        (false, _) | (true, true) => TaskState::Unknown,
        (true, false) if definition.contains(MARK) => TaskState::Own,
        (true, false) => TaskState::Foreign,
    }
}

/// Why the program failed: what it has said, and its exit code.
fn explained(output: &Output) -> String {
    let status = output.status.code().map_or_else(|| "killed".to_owned(), |code| format!("exit code {code}"));
    let message = one_line(&[&output.stderr[..], b"\n", &output.stdout].concat());
    if message.is_empty() { status } else { format!("{message} ({status})") }
}

/// A text in one bounded line.
fn one_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;

    #[test]
    fn a_registered_task_names_its_author() {
        let service = Service {
            role: Role::Monitor,
            program: r"C:\homing.exe".to_owned(),
            arguments: vec!["monitor".to_owned()],
            environment: Vec::new(),
            log: r"C:\monitor.log".to_owned(),
            user: None,
        };
        // The Task Scheduler keeps the elements of a definition, but not its comments.
        let kept =
            task::definition(&service).lines().filter(|line| !line.starts_with("<!--")).collect::<String>();
        assert_eq!(state_of(true, kept.as_bytes()), TaskState::Own);
        assert_eq!(state_of(true, b"<Task><Description>b\xFCro</Description></Task>"), TaskState::Foreign);
        assert_eq!(state_of(true, b"\r\n"), TaskState::Unknown);
        assert_eq!(state_of(false, b"ERROR: The system cannot find the file specified."), TaskState::Unknown);
    }

    #[test]
    fn messages_are_bounded() {
        assert_eq!(one_line(b"\r\n ERROR: no.\r\n  Try again.\r\n"), "ERROR: no. Try again.");
        assert_eq!(one_line("ä".repeat(MAX_MESSAGE + 1).as_bytes()), "ä".repeat(MAX_MESSAGE) + "…");
        assert_eq!(one_line(b""), "");
    }

    #[test]
    fn a_program_that_cannot_run_is_named() {
        let program = std::env::temp_dir().join("no-such-folder").join("schtasks.exe");
        let scheduler = Scheduler { program: program.clone(), task: task::name(Role::Monitor, 1001) };
        let Err(Failure::Refused { code, message, hint }) = scheduler.remove(true, false) else {
            panic!("it cannot run")
        };
        assert_eq!(code, "task_scheduler");
        assert!(message.contains(&program.display().to_string()) && hint.is_some(), "{message}");
    }
}
