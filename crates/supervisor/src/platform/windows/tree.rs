//! The process tree of a job: starts its main process behind a gate, and ends all its processes. The tree is a job object:
//! no process of the job can leave it, and the system ends all of them when the supervisor dies.
#![allow(unsafe_code, reason = "ResumeThread, TerminateProcess and the handle of standard input")]

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homing_core::JobId;
use windows_sys::Win32::Foundation::{ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH};
use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, GetExitCodeProcess, ResumeThread,
};

use super::broker_server::Broker;
use super::create_process::{CreatedProcess, NewProcess};
use super::events::SupervisorEvents;
use super::file::open_null;
use super::group::job_name;
use super::job_object::{JobObject, JobUsage};
use super::job_watch::JobWatch;
use super::pipe::PipeWriter;
use super::placement::Placement;
use super::process::{self, ProcessIdentity, Stat};
use super::process_group::interrupt;
use super::spawn::console_flags;
use super::win32::{check, is_signaled_within, raw};
use super::{clock, errors};

pub use super::command_plan::CommandPlan;
pub use super::process_end::{ProcessEnd, Reaped};

/// How long to wait until the processes of an ended job object have ended.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two checks whether they have.
const KILL_PAUSE: Duration = Duration::from_millis(2);

/// A process leaves its job object before its handle is signaled.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The step of the start that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartStep {
    /// Change to the working directory.
    ChangeDirectory,
    /// Execute the program.
    Execute,
}

/// Where a job writes its output.
#[derive(Debug)]
pub struct JobOutput {
    /// Its standard output.
    pub output: PipeWriter,
    /// Its standard error; that of `output` without one.
    pub error: Option<PipeWriter>,
}

/// A job whose main process was created but does not run. Dropping this ends the process: the command does not run.
#[derive(Debug)]
#[must_use = "open() lets the command run"]
pub struct GatedJob {
    name: String,
    /// `None` after it was opened.
    tree: Option<JobTree>,
}

/// Creates the main process of a job, which does not run yet. It is in the job object of the job, has the standard input of
/// this process, `output`, no other handles, its own process group, and the console of this process.
///
/// # Errors
/// If the program cannot be executed, or the system has no memory left.
pub fn start_gated(
    plan: &CommandPlan,
    id: JobId,
    _placement: &Placement,
    events: &SupervisorEvents,
    output: JobOutput,
) -> io::Result<GatedJob> {
    let supervisor = ProcessIdentity::of_this_process().ok_or_else(errors::no_such_process)?;
    let name = job_name(id, &supervisor);
    let limits = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
    let job = Arc::new(JobObject::create(Some(&name), limits)?);
    let null = open_null()?;
    let stdin = super::spawn::standard_input();
    let error = output.error.as_ref().unwrap_or(&output.output);
    let created = NewProcess {
        program: &plan.program,
        command_line: &plan.command_line,
        directory: Some(&plan.directory),
        environment: None,
        standard: [stdin.unwrap_or_else(|| null.as_handle()), output.output.as_handle(), error.as_handle()],
        job: Some(&job),
        flags: CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP | console_flags(),
    };
    let created = created.create().map_err(|error| with_program(error, &plan.program))?;
    let main = Main { created, is_reported: false, reported: JobUsage::default() };
    events.watch_job(|queue| JobWatch::begin(&job, main.handle(), queue))?;
    // If it fails, jobs that this job launches must leave the job object, which it does not allow: they report that.
    let broker = Broker::serve(id, Arc::clone(&job)).ok();
    Ok(GatedJob { name, tree: Some(JobTree { main: Mutex::new(main), job, broker }) })
}

/// Names the file in the error of a file that is not a program. The message of Windows has "%1" in its place.
fn with_program(error: io::Error, program: &Path) -> io::Error {
    const NO_PROGRAM: [u32; 2] = [ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH];
    if !error.raw_os_error().is_some_and(|code| NO_PROGRAM.contains(&code.cast_unsigned())) {
        return error;
    }
    let file = program.display();
    let message =
        format!("{file} is not a program that this Windows runs; for a script, name its interpreter first");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

impl GatedJob {
    /// Returns its main process; `None` if the system does not show it.
    pub fn main(&self) -> Option<ProcessIdentity> {
        ProcessIdentity::of(self.tree.as_ref()?.main().created.pid)
    }

    /// Returns the name of its job object, for the record.
    pub fn group_name(&self) -> Option<String> {
        Some(self.name.clone())
    }

    /// Returns whether the job is in its group, which it always is: the process was created inside.
    pub fn enter_group(&mut self) -> bool {
        true
    }

    /// Lets the command run. `is_spared` is not needed: processes that do not belong to the job are outside of the job
    /// object.
    ///
    /// # Errors
    /// If the system refuses. The process has ended.
    pub fn open(mut self, _is_spared: fn(u32) -> bool) -> Result<JobTree, (StartStep, io::Error)> {
        let failed = |error| (StartStep::Execute, error);
        let tree = self.tree.as_ref().ok_or_else(|| failed(errors::no_such_process()))?;
        // SAFETY: the handle is open during the call.
        if unsafe { ResumeThread(raw(&tree.main().created.thread)) } == u32::MAX {
            return Err(failed(io::Error::last_os_error()));
        }
        self.tree.take().ok_or_else(|| failed(errors::no_such_process()))
    }
}

impl Drop for GatedJob {
    fn drop(&mut self) {
        if let Some(tree) = self.tree.take() {
            tree.kill_all(|_| {});
        }
    }
}

/// The main process. Its pid is not reused while this exists.
#[derive(Debug)]
struct Main {
    created: CreatedProcess,
    is_reported: bool,
    /// What was reported as used.
    reported: JobUsage,
}

impl Main {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.created.process.as_handle()
    }

    fn has_ended_within(&self, timeout: Duration) -> bool {
        is_signaled_within(&self.created.process, timeout)
    }

    fn exit_code(&self) -> io::Result<u32> {
        let mut code = 0;
        // SAFETY: the handle is open, and the call writes to a live local.
        unsafe { check(GetExitCodeProcess(raw(&self.created.process), &mut code))? };
        Ok(code)
    }

    /// Returns the report of the end, with what was used since the last report.
    fn report(&mut self, usage: JobUsage) -> Option<Reaped> {
        let end = ProcessEnd::Exited(i64::from(self.exit_code().ok()?));
        let cpu = usage.cpu.saturating_sub(self.reported.cpu);
        self.reported = usage;
        self.is_reported = true;
        Some(Reaped { pid: self.created.pid, end, cpu, peak_memory_bytes: usage.peak_memory_bytes })
    }
}

/// All processes of a job, as seen by its supervisor. When this is dropped, or the supervisor dies, the system ends them.
#[derive(Debug)]
pub struct JobTree {
    main: Mutex<Main>,
    job: Arc<JobObject>,
    broker: Option<Broker>,
}

impl JobTree {
    /// Returns every process of the job that has not ended.
    pub fn members(&self) -> Vec<(u32, Stat)> {
        let pids = self.job.pids().unwrap_or_default().into_iter();
        let found = pids.filter_map(|pid| Some((pid, process::stat(pid)?)));
        found.filter(|(_, stat)| !stat.has_ended()).collect()
    }

    /// Returns the running supervisors of other jobs, and the monitor, that this supervisor has started for its job.
    pub fn spared(&self) -> Vec<(u32, Stat)> {
        let started = self.broker.as_ref().map(Broker::started).unwrap_or_default().into_iter();
        let running = started.filter(ProcessIdentity::is_alive);
        let found = running.filter_map(|process| Some((process.pid, process::stat(process.pid)?)));
        found
            .map(|(pid, mut stat)| {
                // As on other systems, whatever the file of the program is called.
                stat.name = "homing".to_owned();
                (pid, stat)
            })
            .collect()
    }

    /// Returns whether no process of the job is left. Reports the main process once when it has ended, and a second time if
    /// other processes have used resources after that.
    pub fn is_empty(&self, mut on_reaped: impl FnMut(Reaped)) -> bool {
        // Asked first: the main process may end, as the last one, between the two questions.
        let is_empty = self.job.active_processes().is_ok_and(|active| active == 0);
        let mut main = self.main();
        let timeout = if is_empty { EXIT_TIMEOUT } else { Duration::ZERO };
        if !main.is_reported && main.has_ended_within(timeout) {
            main.report(self.job.usage()).into_iter().for_each(&mut on_reaped);
        } else if is_empty && main.is_reported {
            let usage = self.job.usage();
            if usage.cpu > main.reported.cpu || usage.peak_memory_bytes > main.reported.peak_memory_bytes {
                main.report(usage).into_iter().for_each(&mut on_reaped);
            }
        }
        is_empty
    }

    /// Asks the processes to end: sends CTRL_BREAK to the process group of the main process. It reaches console programs
    /// that have the console of the supervisor and have not begun a group of their own; all others are ended after the grace
    /// period. From now on, the job starts no further jobs.
    pub fn terminate(&mut self) {
        if let Some(broker) = &self.broker {
            broker.refuse();
        }
        // Without a console there is nobody to ask.
        let _ = interrupt(self.main().created.pid);
    }

    /// Does nothing: a process that was started during [`Self::terminate`] is in the same group and was asked with it.
    pub fn terminate_new_orphans(&mut self) {}

    /// Ends all processes at once. Waits until none is left, for at most 10 s. Returns the processes that survived.
    pub fn kill_all(&self, mut on_reaped: impl FnMut(Reaped)) -> Vec<(u32, Stat)> {
        if let Some(broker) = &self.broker {
            broker.refuse();
        }
        let give_up_at = clock::monotonic() + KILL_TIMEOUT;
        loop {
            // Repeated, because the call may fail while a process begins or exits.
            let _ = self.job.terminate();
            if self.is_empty(&mut on_reaped) {
                return Vec::new();
            }
            if clock::monotonic() > give_up_at {
                return self.members();
            }
            std::thread::sleep(KILL_PAUSE);
        }
    }

    fn main(&self) -> MutexGuard<'_, Main> {
        self.main.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts no further jobs for this job. Kept processes live as long as the supervisor.
    pub fn release(&mut self) {
        self.broker = None;
    }
}

#[cfg(test)]
mod tests {
    use homing_core::{JobCommand, Shell};

    use super::super::pipe;
    use super::super::wait::{AsWaitSource, wait};
    use super::*;

    fn gated(events: &SupervisorEvents, script: &str) -> (GatedJob, pipe::PipeReader) {
        let words = ["cmd.exe", "/d", "/c", script].map(str::to_owned).to_vec();
        let directory = std::env::temp_dir();
        let plan = CommandPlan::new(&JobCommand::Argv(words), Shell::Cmd, &directory, &directory).unwrap();
        let (reader, output) = pipe::from_program().unwrap();
        let id = "0123456789ab".parse().unwrap();
        let output = JobOutput { output, error: None };
        (start_gated(&plan, id, &Placement::of_this_process(), events, output).unwrap(), reader)
    }

    /// One test, because a process has one queue of events.
    #[test]
    fn command_runs_after_the_gate_is_open_and_its_end_is_reported() {
        let events = SupervisorEvents::open().unwrap();
        let (job, reader) = gated(&events, "echo x");
        let main = job.main().unwrap();
        assert!(main.is_alive());
        drop(job);
        assert!(!main.is_alive());
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "a command that was never released writes nothing");

        for code in [0, 9, i64::from(u32::MAX), 0xC000_0005] {
            let (job, _reader) = gated(&events, &format!("exit {}", code as i32));
            let tree = job.open(|_| false).unwrap();
            let mut reports = Vec::new();
            while !tree.is_empty(|main| reports.push(main.end)) {
                wait(&[events.as_wait_source()], Some(Duration::from_secs(10))).unwrap();
                while events.next().is_some() {}
            }
            assert_eq!(reports.first(), Some(&ProcessEnd::Exited(code)));
        }

        let (job, _reader) = gated(&events, "cmd.exe /c pause");
        let tree = job.open(|_| false).unwrap();
        let mut reports = 0;
        assert!(tree.kill_all(|_| reports += 1).is_empty());
        assert_eq!((reports, tree.members()), (1, Vec::new()));
    }
}
