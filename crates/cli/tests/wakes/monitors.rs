//! Real monitors: the program under test, in separate processes that tests can kill.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use testkit::{TempHome, wait_until};

use crate::recorder::Recorder;
use crate::setup::PROGRAM;

/// Writes a configuration with short delays, and the recording sink for every session.
pub(crate) fn write_config(home: &TempHome, recorder: &Recorder, timeout: &str) -> PathBuf {
    let retries = vec!["\"5ms\""; 60].join(", ");
    write_sink(
        home,
        &format!("command = [\"{}\"]\ntimeout = \"{timeout}\"", recorder.program().display()),
        &retries,
    )
}

/// Like [`write_config`], with another sink.
pub(crate) fn write_sink(home: &TempHome, sink: &str, retries: &str) -> PathBuf {
    let path = home.scratch().join("config.toml");
    let text = format!(
        "[sinks.app]\n{sink}\n\n[[routes]]\nsink = \"app\"\n\n[monitor]\ngather = \"0s\"\nretries = [{retries}]\n\
         busy_retry = \"1ms\"\nwakes_per_hour = 100000\n"
    );
    fs::write(&path, text).expect("a configuration");
    path
}

/// The program with that home and its `config.toml`, without variables of the outer session.
pub(crate) fn program(home: &TempHome) -> Command {
    let mut command = home.command(PROGRAM);
    command.env("HOMING_CONFIG", home.scratch().join("config.toml"));
    command
}

/// A monitor. Killed when dropped.
pub(crate) struct MonitorProcess {
    child: Child,
    log: PathBuf,
}

impl MonitorProcess {
    /// Starts a monitor that runs until it is stopped. `failpoints` are its crash points.
    pub(crate) fn start(home: &TempHome, failpoints: &str) -> MonitorProcess {
        MonitorProcess::start_with(home, &[], failpoints, &[])
    }

    /// Starts a monitor that delivers what is due, and exits.
    pub(crate) fn start_once(home: &TempHome, failpoints: &str) -> MonitorProcess {
        MonitorProcess::start_with(home, &["--once"], failpoints, &[])
    }

    /// Starts a monitor with these arguments and environment variables.
    pub(crate) fn start_with(
        home: &TempHome,
        arguments: &[&str],
        failpoints: &str,
        environment: &[(&str, &OsStr)],
    ) -> MonitorProcess {
        let log = home.scratch().join("monitor.log");
        let to_log = File::options().append(true).create(true).open(&log).expect("a log");
        let mut command = program(home);
        command.arg("monitor").args(arguments).env("FAILPOINTS", failpoints);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(to_log);
        MonitorProcess { child: command.spawn().expect("the monitor starts"), log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Kills it as the kernel's out-of-memory killer does.
    pub(crate) fn kill_9(mut self) {
        self.child.kill().expect("it can be killed");
        let status = self.child.wait().expect("it is our child");
        assert_eq!(status.signal(), Some(9), "it ran until now: {}", self.log());
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it can be signalled");
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn end(mut self) -> ExitStatus {
        wait_until("the monitor has ended", || self.ended().is_some());
        self.child.wait().expect("it is our child")
    }

    /// Waits until it has died at its crash point.
    #[track_caller]
    pub(crate) fn crashed(self) {
        let log = self.log.clone();
        let status = self.end();
        assert_eq!(status.signal(), Some(9), "{}", fs::read_to_string(log).unwrap_or_default());
    }

    /// The log of all monitors of this home.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its peak memory, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for MonitorProcess {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a monitor that delivers what is due, until it exits.
#[track_caller]
pub(crate) fn deliver_once(home: &TempHome) {
    let monitor = MonitorProcess::start_once(home, "");
    let log = monitor.log.clone();
    let status = monitor.end();
    assert!(status.success(), "{status}: {}", fs::read_to_string(log).unwrap_or_default());
}
