//! Starts and runs the program of a sink. The sink decides what its exit means for the wake.

use std::ffi::OsString;
use std::io;
use std::path::{MAIN_SEPARATOR_STR, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use homing_core::{Wake, WakeId};
use homing_supervisor::platform::paths::{self, program_to_start};
use homing_supervisor::platform::spawn::own_group;
use homing_supervisor::{JOB_VARIABLE, crash_point};

use super::exit::SinkExit;
use super::sink_process::SinkProcess;
use super::stale::GRACE;
use super::stdin_writer::StdinWriter;
use crate::harness::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE, harness_variables};
use crate::store::home::HOME_VARIABLE;

/// A program to run for a wake, without a shell.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The program and its arguments; not empty.
    pub(crate) argv: Vec<String>,
    /// Its working directory; the user's home directory if `None`.
    pub(crate) directory: Option<PathBuf>,
    /// Its standard input. It does not have to read it.
    pub(crate) input: Vec<u8>,
    /// Variables to remove from its inherited environment.
    pub(crate) remove: Vec<String>,
    /// Variables to set in its environment after that.
    pub(crate) set: Vec<(String, OsString)>,
    /// The timeout.
    pub(crate) timeout: Duration,
    /// The time between SIGTERM and SIGKILL.
    pub(crate) grace: Duration,
    /// The wake that it runs for. All its processes carry the id in their environment.
    pub(crate) wake: WakeId,
}

/// Variables that a service manager sets for the monitor only (sd_notify(3)).
const SERVICE_VARIABLES: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID"];

impl Program {
    /// A program for a wake. Its environment names the wake, its session and the home, and nothing of the session
    /// from which the monitor may have been started. It has no input, and runs in the user's home directory.
    pub(crate) fn for_wake(argv: Vec<String>, wake: &Wake, home: &Path, timeout: Duration) -> Program {
        let others =
            [JOB_VARIABLE, HARNESS_VARIABLE].into_iter().chain(SERVICE_VARIABLES).chain(harness_variables());
        let set = [
            (WAKE_VARIABLE, wake.id.to_string().into()),
            (SESSION_VARIABLE, wake.session.as_str().into()),
            (HOME_VARIABLE, home.as_os_str().to_owned()),
        ];
        Program {
            argv,
            directory: None,
            input: Vec::new(),
            remove: others.map(str::to_owned).collect(),
            set: set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            timeout,
            grace: GRACE,
            wake: wake.id,
        }
    }

    /// Runs the program to its end. Blocks at most for its timeout, its grace period, and a few seconds in which the
    /// kernel ends the remaining processes.
    ///
    /// If the program exits by itself, its remaining processes keep running. After its timeout, all processes that
    /// carry its wake are ended.
    ///
    /// # Errors
    /// If it cannot be started; the error names the program. If its exit status is unknown, because the host reaps
    /// all its children.
    pub(crate) fn run(self) -> io::Result<SinkExit> {
        let name = self.argv.first().cloned().unwrap_or_default();
        let not_started = |source| because(&format!("cannot start {name}"), source);
        let mut command = self.command().map_err(not_started)?;
        // Fill the pipe before the program starts: most wakes then arrive whole, even if this process dies right
        // after.
        let (reader, stdin) = StdinWriter::new(self.input).map_err(not_started)?;
        command.stdin(reader).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(not_started)?;
        // The command holds a copy of the reading end. Drop it, so that the writer notices when the program closes
        // its input.
        drop(command);
        crash_point("sink/started");
        let process = SinkProcess::begin(child, stdin, self.wake, self.timeout, self.grace)?;
        process
            .until_finished()
            .map_err(|source| because(&format!("cannot get the exit status of {name}"), source))
    }

    fn command(&self) -> io::Result<Command> {
        let (program, arguments) =
            self.argv.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        // Without `pre_exec` and the like this is posix_spawn(3), which does not copy the page tables of a large
        // host; in our own static build a plain fork, because the C library's way to change the directory is not
        // linked in.
        let mut command = Command::new(program_to_start(program));
        own_group(&mut command).args(arguments).current_dir(self.directory()?);
        for name in &self.remove {
            command.env_remove(name);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Checks the directory first: otherwise the error for a missing directory would name the program.
    fn directory(&self) -> io::Result<PathBuf> {
        let Some(configured) = &self.directory else {
            let home = paths::home_directory().filter(|home| home.is_dir());
            return Ok(home.unwrap_or_else(|| PathBuf::from(MAIN_SEPARATOR_STR)));
        };
        let in_it = |source| because(&format!("in {}", configured.display()), source);
        match std::fs::metadata(configured).map_err(in_it)?.is_dir() {
            true => Ok(configured.clone()),
            false => Err(in_it(io::ErrorKind::NotADirectory.into())),
        }
    }
}

fn because(what: &str, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), format!("{what}: {source}"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use homing_core::Signal;
    use homing_supervisor::platform::ProcessIdentity;

    use super::*;
    use crate::process::exit::{Exit, SinkExit};
    use crate::process::stale::running_processes_of;
    use crate::process::testing::{EndsAtDrop, wake};

    /// A shell script as a program, with a timeout that is long enough on any machine.
    fn script(text: &str) -> (Program, EndsAtDrop) {
        let argv = ["sh", "-c", text].map(str::to_owned).to_vec();
        let wake = wake("chat-1", "");
        let program = Program::for_wake(argv, &wake, Path::new("/nowhere/home"), Duration::from_secs(60));
        (program, EndsAtDrop(wake.id))
    }

    fn output(text: &str) -> SinkExit {
        SinkExit { exit: Exit::Code(0), stdout: text.as_bytes().to_vec(), stderr: Vec::new() }
    }

    #[test]
    fn a_large_input_arrives_whole_and_both_outputs_come_back() {
        let (program, _end) = script("wc -c; echo aside >&2");
        let ended = Program { input: vec![b'x'; 200 << 10], ..program }.run().unwrap();
        assert_eq!(ended, SinkExit { stderr: b"aside\n".to_vec(), ..output("204800\n") });
    }

    #[test]
    fn an_input_that_is_larger_than_any_pipe_arrives_whole() {
        let (program, _end) = script("wc -c");
        let ended = Program { input: vec![b'x'; 5 << 20], ..program }.run().unwrap();
        assert_eq!(ended, output("5242880\n"));
    }

    #[test]
    fn a_program_may_ignore_its_input() {
        for text in ["exec 0<&-; echo done", "echo done"] {
            let (program, _end) = script(text);
            let ended = Program { input: vec![b'x'; 5 << 20], ..program }.run().unwrap();
            assert_eq!(ended, output("done\n"));
        }
    }

    #[test]
    fn a_flood_of_output_is_bounded_to_its_end() {
        let (program, _end) =
            script("head -c 50000000 /dev/zero; echo; echo end; head -c 50000 /dev/zero >&2");
        let ended = program.run().unwrap();
        assert_eq!((ended.exit, ended.stdout.len(), ended.stderr.len()), (Exit::Code(0), 1 << 20, 8 << 10));
        assert!(ended.stdout.ends_with(b"\0\nend\n"));
    }

    #[test]
    fn an_end_by_a_signal_is_reported_as_such() {
        let (program, _end) = script("kill -SEGV $$");
        assert_eq!(program.run().unwrap().exit, Exit::Signal(Signal::from_number(11)));
    }

    #[test]
    fn a_process_left_behind_does_not_block_and_keeps_running() {
        let (program, end) = script("sleep 600 & echo $!");
        let began = Instant::now();
        let ended = program.run().unwrap();
        assert_eq!(ended.exit, Exit::Code(0));
        assert!(began.elapsed() < Duration::from_secs(30));
        let left: Vec<String> =
            running_processes_of(end.0).iter().map(|left| format!("{}\n", left.pid)).collect();
        assert_eq!(left, [String::from_utf8(ended.stdout).unwrap()]);
    }

    #[test]
    fn a_program_that_ignores_signals_is_ended_with_processes_outside_its_group() {
        // Try again with a longer timeout, in case the machine is too slow to start everything.
        for millis in [200, 2_000, 20_000] {
            let (program, end) = script(
                "trap '' TERM; setsid sh -c 'echo $$; exec sleep 600' & (exec sleep 600) & echo $$; while :; do wait; sleep 1; done",
            );
            let timeout = Duration::from_millis(millis);
            let ended = Program { timeout, grace: Duration::from_millis(100), ..program }.run().unwrap();
            assert_eq!(ended.exit, Exit::TimedOut { after: timeout });
            // No process is left to wait for.
            assert_eq!(running_processes_of(end.0), []);
            let pids = String::from_utf8(ended.stdout).unwrap();
            if pids.lines().count() == 2 {
                let alive =
                    |pid: &str| ProcessIdentity::of(pid.parse().unwrap()).is_some_and(|it| it.is_alive());
                assert!(!pids.lines().any(alive), "{pids}");
                return;
            }
        }
        panic!("the machine is too slow for this test");
    }

    #[test]
    fn a_program_can_clean_up_after_its_timeout() {
        for millis in [200, 2_000, 20_000] {
            let (program, _end) = script("trap 'echo bye; exit 0' TERM; echo ready; sleep 600 & wait");
            let timeout = Duration::from_millis(millis);
            let began = Instant::now();
            let ended = Program { timeout, grace: Duration::from_secs(600), ..program }.run().unwrap();
            assert_eq!(ended.exit, Exit::TimedOut { after: timeout });
            // The grace period ends with the last process.
            assert!(began.elapsed() < Duration::from_secs(300));
            if ended.stdout.starts_with(b"ready") {
                assert_eq!(ended.stdout, b"ready\nbye\n");
                return;
            }
        }
        panic!("the machine is too slow for this test");
    }

    #[test]
    fn the_environment_names_the_wake_and_no_other_session() {
        let (mut program, end) = script("env");
        // Cargo sets this variable for every test, so the program would inherit it.
        let inherited = "CARGO_MANIFEST_DIR";
        assert!(std::env::var_os(inherited).is_some());
        program.remove.push(inherited.to_owned());
        let command = program.command().unwrap();
        let removed: Vec<_> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        for name in
            ["HOMING_JOB", "HOMING_HARNESS", "CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CODEX_THREAD_ID"]
        {
            assert!(removed.iter().any(|removed| *removed == name), "{name}");
        }
        let text = String::from_utf8(program.run().unwrap().stdout).unwrap();
        assert!(!text.contains(inherited), "{text}");
        let wake = format!("HOMING_WAKE={}", end.0);
        for variable in [wake.as_str(), "HOMING_SESSION=chat-1", "HOMING_HOME=/nowhere/home"] {
            assert!(text.lines().any(|line| line == variable), "{variable} in {text}");
        }
    }

    #[test]
    fn it_runs_in_the_configured_directory_or_at_home() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (program, _end) = script("pwd -P");
        let there = Program { directory: Some(folder.clone()), ..program.clone() }.run().unwrap();
        assert_eq!(there, output(&format!("{}\n", folder.display())));
        let home = program.directory().unwrap().canonicalize().unwrap();
        assert_eq!(program.clone().run().unwrap(), output(&format!("{}\n", home.display())));
        let nowhere = Program { directory: Some(folder.join("none")), ..program };
        let error = nowhere.run().unwrap_err().to_string();
        let expected = format!("cannot start sh: in {}/none: No such file", folder.display());
        assert!(error.starts_with(&expected), "{error}");
    }
}
