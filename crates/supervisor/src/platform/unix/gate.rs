//! Creates the main process of a job: a forked child that waits at a gate until it is recorded, and then executes the
//! command.
#![allow(unsafe_code, reason = "fork(2), and what a child may call before execve(2)")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use super::after_fork::{end_with, environment, errno};
use super::exec_plan::CommandPlan;
use super::pipe::{PipeReader, PipeWriter, pipe};

/// The step that failed in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartStep {
    /// Change to the working directory.
    ChangeDirectory,
    /// Execute the program.
    Execute,
}

/// A child that waits at its gate. Dropping this closes the gate: the child exits without executing the command.
#[derive(Debug)]
#[must_use = "open() lets the child run"]
pub(super) struct GatedChild {
    pid: u32,
    gate: PipeWriter,
    report: PipeReader,
}

/// Forks a child that waits at a gate. It has its own session, no blocked signals, the standard input of this process,
/// `output` as standard output, `error` as standard error, and no other descriptors after execve. If this process dies
/// while it waits, it exits. On Linux, the kernel kills it when this process dies, also later.
///
/// # Errors
/// If the limit of processes or descriptors is reached.
pub(super) fn fork_behind_gate(
    plan: &CommandPlan,
    output: &PipeWriter,
    error: &PipeWriter,
) -> io::Result<GatedChild> {
    // This process has one thread, so no other program can inherit these pipes before they are marked (macOS).
    let (gate_read, gate_write) = pipe()?;
    let (report_read, report_write) = pipe()?;
    let child = Child {
        plan,
        arguments: argument_pointers(&[ptr::null()], &plan.arguments),
        // SAFETY: the environment of this process does not change until the child has executed its program, because this
        // process has one thread.
        environment: unsafe { environment() },
        shell_arguments: argument_pointers(&[c"sh".as_ptr(), ptr::null()], &plan.arguments),
        parent: std::process::id(),
        output: output.raw(),
        error: error.raw(),
        gate: gate_read.as_fd().as_raw_fd(),
        gate_writer: gate_write.raw(),
        report: report_write.raw(),
    };
    // SAFETY: this process is single-threaded, and the child calls only async-signal-safe functions on memory that
    // was allocated before the fork.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: this is the child.
        0 => unsafe { child.run() },
        pid => Ok(GatedChild { pid: pid.unsigned_abs(), gate: gate_write, report: report_read }),
    }
}

impl GatedChild {
    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Opens the gate and waits until the child has executed the command, or has failed and is reaped.
    ///
    /// # Errors
    /// The step that failed in the child, and its error.
    pub(super) fn open(self) -> Result<(), (StartStep, io::Error)> {
        let _ = self.gate.write(b"go");
        drop(self.gate);
        let mut report = [0; 8];
        let is_reported = self.report.fill(&mut report).unwrap_or(false);
        // The pipe closes without a report if the program was executed (close-on-exec), or if the child was killed
        // before. In the second case, its wait status has the reason.
        if !is_reported {
            return Ok(());
        }
        // Reap it here: it exits after its report, and a control group can be removed only then.
        let child = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        while waitpid(child, WaitOptions::empty()).is_err_and(|error| error == Errno::INTR) {}
        let word = |index: usize| i32::from_ne_bytes([0, 1, 2, 3].map(|byte| report[index + byte]));
        let step = if word(0) == 0 { StartStep::ChangeDirectory } else { StartStep::Execute };
        Err((step, io::Error::from_raw_os_error(word(4))))
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Returns `first`, in which a null pointer is a placeholder, followed by the arguments of the plan.
fn argument_pointers(first: &[*const libc::c_char], arguments: &[CString]) -> Vec<*const libc::c_char> {
    first.iter().copied().chain(pointers(arguments)).collect()
}

struct Child<'a> {
    plan: &'a CommandPlan,
    /// With a placeholder for the program's name.
    arguments: Vec<*const libc::c_char>,
    environment: *const *const libc::c_char,
    /// For `sh FILE ARGUMENT...`, with a placeholder for the file.
    shell_arguments: Vec<*const libc::c_char>,
    parent: u32,
    output: RawFd,
    error: RawFd,
    gate: RawFd,
    gate_writer: RawFd,
    report: RawFd,
}

impl Child<'_> {
    /// Runs the child until it executes the command.
    ///
    /// # Safety
    /// Only in a child just forked from a single-threaded process.
    unsafe fn run(mut self) -> ! {
        // SAFETY: every call is async-signal-safe (signal-safety(7), sigaction(2)) or a plain system call; every pointer refers to
        // memory of the plan, which lives until execve.
        unsafe {
            // Close the write end here, or the read below would not detect the death of the parent.
            libc::close(self.gate_writer);
            libc::setsid();
            end_with(self.parent);
            libc::dup2(self.output, 1);
            libc::dup2(self.error, 2);

            let mut byte = 0u8;
            loop {
                match libc::read(self.gate, (&raw mut byte).cast(), 1) {
                    1 => break,
                    -1 if errno() == libc::EINTR => {}
                    // The parent has ended: exit, because the process may not be recorded.
                    _ => libc::_exit(127),
                }
            }
            if libc::chdir(self.plan.cwd.as_ptr()) != 0 {
                self.fail(0, errno());
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());

            let mut failure = libc::ENOENT;
            for index in 0..self.plan.candidates.len() {
                let file = self.plan.candidates[index].file.as_ptr();
                self.arguments[0] = self.plan.candidates[index].name.as_ptr();
                libc::execve(file, self.arguments.as_ptr(), self.environment);
                match errno() {
                    // A script without `#!` is run by the shell, as in execvp(3).
                    libc::ENOEXEC => {
                        self.shell_arguments[1] = file;
                        let shell = c"/bin/sh".as_ptr();
                        libc::execve(shell, self.shell_arguments.as_ptr(), self.environment);
                        failure = errno();
                        break;
                    }
                    // As in execvp(3): continue the search, but remember the error.
                    libc::EACCES => failure = libc::EACCES,
                    libc::ENOENT | libc::ENOTDIR => {}
                    other => {
                        failure = other;
                        break;
                    }
                }
            }
            self.fail(1, failure)
        }
    }

    /// Reports the failed step and exits the child.
    ///
    /// # Safety
    /// As [`Child::run`].
    unsafe fn fail(&self, step: i32, errno: i32) -> ! {
        let words = [step, errno];
        // SAFETY: the buffer is a live local of the given length.
        unsafe {
            libc::write(self.report, words.as_ptr().cast(), size_of_val(&words));
            libc::_exit(127)
        }
    }
}
