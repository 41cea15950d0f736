//! Makes the job's main process: a fork that waits behind a gate until it is recorded, and then becomes the command.
#![allow(unsafe_code, reason = "fork(2) and what a child may call before execve(2)")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

/// Closes every descriptor but standard input, output and error: what the launching host had open is none of ours,
/// and holding a pipe of it open could make the host wait for us.
///
/// # Safety
/// Only before this process has opened anything itself.
pub unsafe fn close_inherited_descriptors() {
    // SAFETY: the caller vouches that nobody owns a descriptor above 2.
    unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) };
}

/// Goes on in a child and ends this process, so that whoever started it has nothing left to reap. Where the system has
/// no process to give, this one ends all the same: its job would find none either.
///
/// # Safety
/// Only while this process has one thread.
pub unsafe fn go_on_in_a_child() {
    // SAFETY: the caller vouches that no other thread holds a lock; _exit(2) runs nothing of this program any more.
    unsafe {
        match libc::fork() {
            0 => {}
            pid => libc::_exit(i32::from(pid < 0)),
        }
    }
}

/// Everything the child needs, made before the fork: the child must not allocate.
#[derive(Debug)]
pub struct ExecPlan {
    /// Files to try in turn, as `PATH` lists them.
    pub candidates: Vec<Candidate>,
    /// The arguments after the program's name.
    pub arguments: Vec<CString>,
    /// The environment, as `NAME=value`.
    pub environment: Vec<CString>,
    /// The directory to run in.
    pub cwd: CString,
}

/// A file to execute, and the name by which it is run. Programs such as BusyBox are what their name says.
#[derive(Debug)]
pub struct Candidate {
    /// The file.
    pub file: CString,
    /// Its first argument, `argv[0]`.
    pub name: CString,
}

/// Where in the child the start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartStep {
    /// Going to the working directory.
    ChangeDirectory,
    /// Becoming the program.
    Execute,
}

/// A child that waits behind its gate. Dropping this closes the gate: the child ends without running anything.
#[derive(Debug)]
#[must_use = "open() lets the child run"]
pub struct GatedChild {
    pid: u32,
    gate: OwnedFd,
    report: OwnedFd,
}

/// Forks a child that waits. It has a session of its own, default signals, `/dev/null` as input, `output` as output
/// and errors, no other descriptor, and is killed when this process dies.
///
/// # Errors
/// When there is no process or descriptor left.
pub fn fork_behind_gate(
    plan: &ExecPlan,
    null: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
) -> io::Result<GatedChild> {
    let (gate_read, gate_write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (report_read, report_write) = pipe_with(PipeFlags::CLOEXEC)?;
    let environment = pointers(&plan.environment);
    let child = Child {
        plan,
        arguments: argument_pointers(&[ptr::null()], &plan.arguments),
        environment: &environment,
        shell_arguments: argument_pointers(&[c"sh".as_ptr(), ptr::null()], &plan.arguments),
        parent: std::process::id(),
        null: null.as_raw_fd(),
        output: output.as_raw_fd(),
        gate: gate_read.as_raw_fd(),
        gate_writer: gate_write.as_raw_fd(),
        report: report_write.as_raw_fd(),
    };
    // SAFETY: this process is single-threaded, and the child calls only async-signal-safe functions on memory that
    // was made before the fork.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: we are the child.
        0 => unsafe { child.run() },
        pid => Ok(GatedChild { pid: pid.unsigned_abs(), gate: gate_write, report: report_read }),
    }
}

impl GatedChild {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Opens the gate and waits until the child is the command, or has failed to become it and is reaped.
    ///
    /// # Errors
    /// The step that failed in the child and its error.
    pub fn open(self) -> Result<(), (StartStep, Errno)> {
        let _ = rustix::io::write(&self.gate, b"go");
        drop(self.gate);
        let mut report = [0; 8];
        let mut filled = 0;
        while filled < report.len() {
            match rustix::io::read(self.report.as_fd(), &mut report[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        // The pipe closes without a word when the program has taken over (close-on-exec), or when the child was
        // killed before it could; then its exit status tells.
        if filled < report.len() {
            return Ok(());
        }
        // Reaped here: its control group is to be removed, and it ends only after it has reported.
        let child = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        while waitpid(child, WaitOptions::empty()).is_err_and(|error| error == Errno::INTR) {}
        let word = |index: usize| i32::from_ne_bytes([0, 1, 2, 3].map(|byte| report[index + byte]));
        let step = if word(0) == 0 { StartStep::ChangeDirectory } else { StartStep::Execute };
        Err((step, Errno::from_raw_os_error(word(4))))
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// All arguments: those that come first, where a null pointer keeps a place free, and those of the plan.
fn argument_pointers(first: &[*const libc::c_char], arguments: &[CString]) -> Vec<*const libc::c_char> {
    first.iter().copied().chain(pointers(arguments)).collect()
}

struct Child<'a> {
    plan: &'a ExecPlan,
    /// With a free place for the program's name.
    arguments: Vec<*const libc::c_char>,
    environment: &'a [*const libc::c_char],
    /// For `sh FILE ARGUMENT...`, with a free place for the file.
    shell_arguments: Vec<*const libc::c_char>,
    parent: u32,
    null: RawFd,
    output: RawFd,
    gate: RawFd,
    gate_writer: RawFd,
    report: RawFd,
}

impl Child<'_> {
    /// The child's whole life until it is the command.
    ///
    /// # Safety
    /// Only in a child just forked from a single-threaded process.
    unsafe fn run(mut self) -> ! {
        // SAFETY: every call is async-signal-safe (signal-safety(7)) or a plain system call; every pointer is to
        // memory that lives in the plan until execve.
        unsafe {
            // The write end must not be open here, or the end of the parent would not be seen.
            libc::close(self.gate_writer);
            libc::setsid();
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid().unsigned_abs() != self.parent {
                libc::_exit(127);
            }
            // Past the C library, which refuses to touch two signals of its own, and whose posix_spawn(3) has made us
            // ignore them. A kernel's struct sigaction of zeros: SIG_DFL, no flags, no mask.
            let default = [0u64; 4];
            for signal in 1..=64 {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    default.as_ptr(),
                    ptr::null_mut::<u64>(),
                    8usize,
                );
            }
            libc::dup2(self.null, 0);
            libc::dup2(self.output, 1);
            libc::dup2(self.output, 2);

            let mut byte = 0u8;
            loop {
                match libc::read(self.gate, (&raw mut byte).cast(), 1) {
                    1 => break,
                    -1 if *libc::__errno_location() == libc::EINTR => {}
                    // The parent is gone: nothing runs that was not recorded.
                    _ => libc::_exit(127),
                }
            }
            if libc::chdir(self.plan.cwd.as_ptr()) != 0 {
                self.fail(0, *libc::__errno_location());
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());

            let mut failure = libc::ENOENT;
            for index in 0..self.plan.candidates.len() {
                let file = self.plan.candidates[index].file.as_ptr();
                self.arguments[0] = self.plan.candidates[index].name.as_ptr();
                libc::execve(file, self.arguments.as_ptr(), self.environment.as_ptr());
                match *libc::__errno_location() {
                    // A script without `#!` is for the shell, as execvp(3) has it.
                    libc::ENOEXEC => {
                        self.shell_arguments[1] = file;
                        let shell = c"/bin/sh".as_ptr();
                        libc::execve(shell, self.shell_arguments.as_ptr(), self.environment.as_ptr());
                        failure = *libc::__errno_location();
                        break;
                    }
                    // As execvp(3): go on searching, but remember that there was one.
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

    /// Reports what failed and ends the child.
    ///
    /// # Safety
    /// As [`Child::run`].
    unsafe fn fail(&self, step: i32, errno: i32) -> ! {
        let words = [step, errno];
        // SAFETY: the buffer is a live local of the length given.
        unsafe {
            libc::write(self.report, words.as_ptr().cast(), size_of_val(&words));
            libc::_exit(127)
        }
    }
}
