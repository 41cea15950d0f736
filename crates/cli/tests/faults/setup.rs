//! A separate home for each fault, used by the library and the program.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use homing::{Config, Homing, Job, JobId, JobSpec, OpenOptions, Outcome, RecoverOptions, WaitFor};
use rustix::process::{Pid, Signal, kill_process};
use testkit::{Process, TempHome, WAIT_TIMEOUT, wait_until};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_homing");

/// An open home. Dropping it proves that no process of the test survived.
pub(crate) struct Setup {
    pub(crate) homing: Homing,
    pub(crate) home: TempHome,
}

impl Setup {
    pub(crate) fn new() -> Setup {
        Setup::in_home(TempHome::new())
    }

    pub(crate) fn in_home(home: TempHome) -> Setup {
        let homing = open(&home, Duration::from_secs(10));
        Setup { homing, home }
    }

    /// Launches a script. `MARK` in it is replaced by a number of seconds that is unique to this test.
    pub(crate) fn launch(&self, script: &str) -> Job {
        self.launch_spec(self.script(script))
    }

    pub(crate) fn script(&self, script: &str) -> JobSpec {
        JobSpec::script(script.replace("MARK", self.home.mark())).expect("a script")
    }

    pub(crate) fn launch_spec(&self, spec: JobSpec) -> Job {
        self.homing.launch(spec).expect("the job is launched")
    }

    /// Launches a script and waits for its end.
    pub(crate) fn run(&self, script: &str) -> Job {
        let id = self.launch(script).id;
        self.end_of(id)
    }

    /// Waits for the end of a job.
    pub(crate) fn end_of(&self, id: JobId) -> Job {
        let mut waited =
            self.homing.wait(&[id], WaitFor::All, Some(WAIT_TIMEOUT)).expect("the job can be waited for");
        assert!(waited.satisfied, "not finished in time: {:#?}", waited.jobs);
        waited.jobs.remove(0)
    }

    /// Waits for the end of a job whose supervisor died, recovers it, and returns its final state.
    pub(crate) fn recovered_end_of(&self, id: JobId) -> Job {
        self.end_of(id);
        let report = self.homing.recover(RecoverOptions::default()).expect("jobs can be recovered");
        assert!(report.failed.is_empty() && report.left.is_empty(), "{report:#?}");
        self.homing.get(id).expect("the job is known")
    }

    /// The supervisor of a running job.
    pub(crate) fn supervisor(&self, id: JobId) -> Process {
        let mut found: Vec<Process> = self
            .home
            .processes()
            .into_iter()
            .filter(|process| {
                process.command_line.contains("__supervise") && process.command_line.contains(id.as_str())
            })
            .collect();
        assert_eq!(found.len(), 1, "one supervisor: {found:#?}");
        found.remove(0)
    }

    /// Waits until this many processes have the mark of the test.
    #[track_caller]
    pub(crate) fn wait_for_marked(&self, count: usize) -> Vec<Process> {
        wait_until(&format!("{count} marked processes run"), || self.home.marked().len() == count);
        self.home.marked()
    }

    /// The program, with this home and without the variables of the outer session.
    pub(crate) fn program(&self) -> Command {
        program(&self.home)
    }

    /// A file beside the home.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.home.scratch().join(name)
    }
}

pub(crate) fn open(home: &TempHome, busy_timeout: Duration) -> Homing {
    OpenOptions::new()
        .home(home.path())
        .config(Config::default())
        .supervisor(PROGRAM)
        .busy_timeout(busy_timeout)
        .open()
        .expect("the home opens")
}

pub(crate) fn program(home: &TempHome) -> Command {
    let mut command = home.command(PROGRAM);
    let empty_config = home.scratch().join("config.toml");
    std::fs::write(&empty_config, "").expect("a configuration file");
    command.env("HOMING_CONFIG", empty_config);
    command
}

/// Kills one process, as the out-of-memory killer of the kernel does.
pub(crate) fn kill_9(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::KILL).expect("the process can be killed");
}

pub(crate) fn outcome(job: &Job) -> &Outcome {
    job.outcome().unwrap_or_else(|| panic!("not finished: {job:#?}"))
}

pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:#?}");
    String::from_utf8(output.stdout.clone()).expect("text").trim_end().to_owned()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
