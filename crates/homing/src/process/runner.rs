//! The program of a sink and how it is started. What its end means for the wake is decided by the sink.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use homing_core::{Wake, WakeId};
use homing_supervisor::{JOB_VARIABLE, crash_point};

use super::exit::SinkExit;
use super::sink_process::SinkProcess;
use super::stale::GRACE;
use super::stdin_writer::StdinWriter;
use crate::harness::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE, harness_variables};
use crate::store::home::HOME_VARIABLE;

/// A program that is to be run for a wake, without a shell.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The program and its arguments, at least the program.
    pub(crate) argv: Vec<String>,
    /// Where it runs; the user's home directory without this.
    pub(crate) directory: Option<PathBuf>,
    /// What it reads on its standard input. It need not read it.
    pub(crate) input: Vec<u8>,
    /// Taken out of the environment it inherits.
    pub(crate) remove: Vec<String>,
    /// Set in its environment after that.
    pub(crate) set: Vec<(String, OsString)>,
    /// How long it may run.
    pub(crate) timeout: Duration,
    /// How long it has to end after SIGTERM.
    pub(crate) grace: Duration,
    /// What it is run for: carried by all its processes.
    pub(crate) wake: WakeId,
}

/// What a service manager tells the monitor, and nobody else (sd_notify(3)).
const SERVICE_VARIABLES: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID"];

impl Program {
    /// A program for a wake: with an environment that names the wake, its session and the home, and nothing of the
    /// session in which the monitor itself may have been started. No input, in the user's home directory.
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

    /// Runs it to its end, however it comes: nothing it does or leaves undone holds this up for longer than its time,
    /// its grace, and a few seconds in which the kernel ends what is left.
    ///
    /// A process that it leaves behind when it ends by itself is left alone. When its time is over, everything that
    /// carries its wake is ended.
    ///
    /// # Errors
    /// When it cannot be started; the error says so and names it. Or when its end cannot be learnt, because the host
    /// reaps all its children.
    pub(crate) fn run(self) -> io::Result<SinkExit> {
        let name = self.argv.first().cloned().unwrap_or_default();
        let not_started = |source| because(&format!("cannot start {name}"), source);
        let mut command = self.command().map_err(not_started)?;
        // Filled before the program starts: most wakes reach it whole, even when this process dies the next moment.
        let (reader, feed) = StdinWriter::new(self.input).map_err(not_started)?;
        command.stdin(reader).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(not_started)?;
        // Holds a copy of the reading end: without it a program that ends would not be seen to close its input.
        drop(command);
        crash_point("sink/started");
        let attendance = SinkProcess::begin(child, feed, self.wake, self.timeout, self.grace)?;
        attendance
            .until_finished()
            .map_err(|source| because(&format!("cannot learn how {name} ended"), source))
    }

    fn command(&self) -> io::Result<Command> {
        let (program, arguments) =
            self.argv.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        // Without `pre_exec` and the like this is posix_spawn(3), which does not copy the page tables of a large host;
        // in our own static build a plain fork, because the C library's way to change the directory is not linked in.
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).current_dir(self.directory()?);
        for name in &self.remove {
            command.env_remove(name);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Looked at first, or a directory that is missing would read as if the program were.
    fn directory(&self) -> io::Result<PathBuf> {
        let Some(configured) = &self.directory else {
            let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_dir());
            return Ok(home.unwrap_or_else(|| PathBuf::from("/")));
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
    use crate::process::stale::still_at_work;
    use crate::process::testing::{EndsAtDrop, wake};

    /// A shell script as a program, with time enough on any machine.
    fn script(text: &str) -> (Program, EndsAtDrop) {
        let argv = ["sh", "-c", text].map(str::to_owned).to_vec();
        let wake = wake("chat-1", "");
        let program = Program::for_wake(argv, &wake, Path::new("/nowhere/home"), Duration::from_secs(60));
        (program, EndsAtDrop(wake.id))
    }

    fn said(text: &str) -> SinkExit {
        SinkExit { exit: Exit::Code(0), stdout: text.as_bytes().to_vec(), stderr: Vec::new() }
    }

    #[test]
    fn a_large_input_arrives_whole_and_both_outputs_come_back() {
        let (program, _end) = script("wc -c; echo aside >&2");
        let ended = Program { input: vec![b'x'; 200 << 10], ..program }.run().unwrap();
        assert_eq!(ended, SinkExit { stderr: b"aside\n".to_vec(), ..said("204800\n") });
    }

    #[test]
    fn an_input_that_is_larger_than_any_pipe_arrives_whole() {
        let (program, _end) = script("wc -c");
        let ended = Program { input: vec![b'x'; 5 << 20], ..program }.run().unwrap();
        assert_eq!(ended, said("5242880\n"));
    }

    #[test]
    fn a_program_may_ignore_its_input() {
        for text in ["exec 0<&-; echo done", "echo done"] {
            let (program, _end) = script(text);
            let ended = Program { input: vec![b'x'; 5 << 20], ..program }.run().unwrap();
            assert_eq!(ended, said("done\n"));
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
    fn an_end_by_a_signal_is_told_apart() {
        let (program, _end) = script("kill -SEGV $$");
        assert_eq!(program.run().unwrap().exit, Exit::Signal(Signal::from_number(11)));
    }

    #[test]
    fn a_process_left_behind_holds_up_nothing_and_is_left_alone() {
        let (program, end) = script("sleep 600 & echo $!");
        let began = Instant::now();
        let ended = program.run().unwrap();
        assert_eq!(ended.exit, Exit::Code(0));
        assert!(began.elapsed() < Duration::from_secs(30));
        let left: Vec<String> = still_at_work(end.0).iter().map(|left| format!("{}\n", left.pid)).collect();
        assert_eq!(left, [String::from_utf8(ended.stdout).unwrap()]);
    }

    #[test]
    fn what_ignores_every_request_is_ended_with_all_that_left_its_group() {
        // Asked again with more time, should the machine be too slow to start it all in the time it has.
        for millis in [200, 2_000, 20_000] {
            let (program, end) = script(
                "trap '' TERM; setsid sh -c 'echo $$; exec sleep 600' & (exec sleep 600) & echo $$; while :; do wait; sleep 1; done",
            );
            let timeout = Duration::from_millis(millis);
            let ended = Program { timeout, grace: Duration::from_millis(100), ..program }.run().unwrap();
            assert_eq!(ended.exit, Exit::TimedOut { after: timeout });
            // Ended means ended: there is nothing to wait for.
            assert_eq!(still_at_work(end.0), []);
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
    fn a_program_whose_time_is_over_may_clear_up() {
        for millis in [200, 2_000, 20_000] {
            let (program, _end) = script("trap 'echo bye; exit 0' TERM; echo ready; sleep 600 & wait");
            let timeout = Duration::from_millis(millis);
            let began = Instant::now();
            let ended = Program { timeout, grace: Duration::from_secs(600), ..program }.run().unwrap();
            assert_eq!(ended.exit, Exit::TimedOut { after: timeout });
            // The grace ends with the last process.
            assert!(began.elapsed() < Duration::from_secs(300));
            if ended.stdout.starts_with(b"ready") {
                assert_eq!(ended.stdout, b"ready\nbye\n");
                return;
            }
        }
        panic!("the machine is too slow for this test");
    }

    #[test]
    fn the_environment_names_the_wake_and_nothing_of_another_session() {
        let (mut program, end) = script("env");
        // Cargo sets it for every test: an inherited variable that can be missed.
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
    fn it_runs_where_it_was_told_to_or_at_home() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (program, _end) = script("pwd -P");
        let there = Program { directory: Some(folder.clone()), ..program.clone() }.run().unwrap();
        assert_eq!(there, said(&format!("{}\n", folder.display())));
        let home = program.directory().unwrap().canonicalize().unwrap();
        assert_eq!(program.clone().run().unwrap(), said(&format!("{}\n", home.display())));
        let nowhere = Program { directory: Some(folder.join("none")), ..program };
        let error = nowhere.run().unwrap_err().to_string();
        let expected = format!("cannot start sh: in {}/none: No such file", folder.display());
        assert!(error.starts_with(&expected), "{error}");
    }
}
