//! Launchers that are killed, concurrent or short of resources, and what a job must not inherit from them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use homing::core::StartError;
use homing::{Error, FollowUpState, Job, JobSpec, KilledBy, ListOptions, OpenOptions, Outcome};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::OpenptFlags;
use serde_json::Value;
use testkit::{TempHome, processes_where, skip, wait_until};

use crate::evidence::starting_line;
use crate::evidence::{
    after, assert_no_half_job, everything_below, ids, list, mode, names_in, refusal, through,
};
use crate::setup::{PROGRAM, Setup, is_root, outcome, program, stdout};

/// Arguments of `homing run`: it returns at once, or it waits and shows the output.
const RUN_ARGUMENTS: [&[&str]; 2] = [&["run"], &["run", "--wait"]];

/// A shell that launches a job, which runs until the file `go` exists. The shell then runs until its input ends.
struct LaunchingShell {
    command: Command,
    returned: PathBuf,
    go: PathBuf,
}

impl LaunchingShell {
    fn new(setup: &Setup, outer: &[&str], arguments: &[&str]) -> LaunchingShell {
        let (returned, go) = (setup.scratch("returned"), setup.scratch("go"));
        let script = format!(
            "cut -d' ' -f7 /proc/$$/stat; until [ -e {} ]; do sleep 0.01; done; exit 7",
            go.display()
        );
        let mut run = setup.program();
        run.args(arguments).arg(script);
        let shell = ["bash", "-c", "\"$@\"; : > \"$0\"; exec cat", returned.to_str().expect("text")];
        LaunchingShell { command: through(&[outer, &shell].concat(), &run), returned, go }
    }

    /// Starts it, and waits until the job runs and, unless `stays`, until `homing run` has returned.
    fn start(mut self, setup: &Setup, stays: bool) -> (Child, Job, PathBuf) {
        let shell = self.command.spawn().expect("the shell starts");
        wait_until("the job runs", || {
            let jobs = setup.homing.list(&ListOptions::default()).expect("a list");
            jobs.len() == 1 && jobs[0].output.total_bytes > 0
        });
        wait_until("the launch has returned", || stays || self.returned.exists());
        let mut jobs = setup.homing.list(&ListOptions::default()).expect("a list");
        (shell, jobs.remove(0), self.go)
    }
}

/// Asserts that a job is not affected: it still runs, and then ends normally.
fn assert_unaffected(setup: &Setup, job: &Job, go: &Path) {
    let now = setup.homing.get(job.id).expect("the job");
    assert_eq!(now.state, job.state, "it keeps running");
    fs::write(go, "").expect("a file");
    let job = setup.end_of(job.id);
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 7 });
    assert_eq!(job.follow_up.state, FollowUpState::Pending);
    // The number of its terminal (proc_pid_stat(5)); 0 for none.
    assert_eq!(setup.homing.output(job.id, 0, 100).expect("output").bytes, b"0\n");
}

#[test]
fn a_job_survives_the_process_group_of_its_launcher() {
    for arguments in RUN_ARGUMENTS {
        let setup = Setup::new();
        let mut shell = LaunchingShell::new(&setup, &[], arguments);
        shell.command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let (mut shell, job, go) = shell.start(&setup, arguments.len() > 1);

        kill_process_group(Pid::from_child(&shell), Signal::KILL).expect("the group is killed");
        assert_eq!(shell.wait().expect("it ends").signal(), Some(9));
        assert_unaffected(&setup, &job, &go);
    }
}

#[test]
fn a_job_survives_the_terminal_of_its_launcher() {
    for arguments in RUN_ARGUMENTS {
        let setup = Setup::new();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let Ok(terminal) = rustix::pty::openpt(flags) else {
            return skip("there are no pseudo-terminals here");
        };
        rustix::pty::grantpt(&terminal).expect("this process owns it");
        rustix::pty::unlockpt(&terminal).expect("it can be unlocked");
        let name = rustix::pty::ptsname(&terminal, Vec::new()).expect("it has a name");
        let open = || {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            Stdio::from(rustix::fs::open(&*name, flags, Mode::empty()).expect("it can be opened"))
        };
        let mut shell = LaunchingShell::new(&setup, &["setsid", "-c", "-w"], arguments);
        shell.command.stdin(open()).stdout(open()).stderr(open());
        let (mut shell, job, go) = shell.start(&setup, arguments.len() > 1);

        drop(terminal);
        assert_eq!(shell.wait().expect("it ends").signal(), Some(1), "the terminal hung up");
        assert_unaffected(&setup, &job, &go);
    }
}

#[test]
fn a_job_that_kills_its_own_process_group_does_not_kill_its_supervisor() {
    let setup = Setup::new();
    let job = setup.run("sleep MARK & kill -9 0");
    assert_eq!(outcome(&job), &Outcome::Signaled { signal: homing::core::Signal::from_number(9) });
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn eight_processes_that_launch_25_jobs_each_make_200_records() {
    let setup = Setup::new();
    let (line, start) = starting_line();
    let shells: Vec<Child> = (0..8)
        .map(|number| {
            let mut run = setup.program();
            run.args(["run", "--session", &format!("launcher-{number}"), "true"]);
            let script = "read -r; for _ in {1..25}; do \"$@\" || exit; done";
            let mut shell = through(&["bash", "-c", script, "bash"], &run);
            shell.stdin(line.try_clone().expect("a descriptor")).stdout(Stdio::piped());
            shell.spawn().expect("the shell starts")
        })
        .collect();
    drop((line, start));
    let launched: Vec<Vec<String>> = shells
        .into_iter()
        .map(|shell| stdout(&shell.wait_with_output().expect("it ends")).lines().map(str::to_owned).collect())
        .collect();

    wait_until("all have finished", || setup.home.processes().is_empty());
    let jobs = list(setup.program());
    let wanted = Value::from("exited 0, pending");
    for job in &jobs {
        let (outcome, follow_up) = (&job["outcome"], &job["follow_up"]["state"]);
        let text = format!("{} {}, {}", outcome["kind"], outcome["exit_code"], follow_up).replace('"', "");
        assert_eq!(Value::from(text), wanted, "{job:#?}");
    }
    assert_eq!(jobs.len(), 200);
    for (number, ids) in launched.iter().enumerate() {
        let session = format!("launcher-{number}");
        let listed: Vec<&str> = jobs
            .iter()
            .rev()
            .filter(|job| job["session"] == session.as_str())
            .map(|job| job["id"].as_str().expect("an id"))
            .collect();
        assert_eq!(&listed, ids, "{session}: those it launched, in their order");
        assert_eq!(ids.len(), 25);
    }
}

fn failed_to_start(message: &str, errno: i32) -> Outcome {
    let error = StartError { message: message.to_owned(), errno: Some(errno) };
    Outcome::FailedToStart { error }
}

/// Asserts that a job that could not start is finished when the launch returns, has the outcome, and is followed up.
fn assert_fails_to_start(setup: &Setup, spec: JobSpec, expected: &Outcome) {
    let launched = setup.launch_spec(spec);
    assert_eq!(outcome(&launched), expected, "known when the launch returns");
    let job = setup.homing.get(launched.id).expect("the job");
    assert_eq!((outcome(&job), job.follow_up.state), (expected, FollowUpState::Pending));
    let finished = job.state.finished().expect("it has finished");
    assert_eq!((finished.started, finished.leftovers.as_slice()), (None, &[][..]));
    assert_eq!(job.output, homing::core::OutputSize::default());
}

#[test]
fn a_program_that_cannot_run_fails_to_start_with_the_reason() {
    let setup = Setup::new();
    let file = |name: &str, mode: u32| {
        let path = setup.scratch(name);
        fs::write(&path, "#!/no/such/interpreter\n").expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        path.to_str().expect("text").to_owned()
    };
    let folder = setup.home.scratch().to_str().expect("text").to_owned();
    let table = [
        ("no-such-program-anywhere".to_owned(), "No such file or directory", 2),
        ("/no/such/program".to_owned(), "No such file or directory", 2),
        (file("not-executable", 0o644), "Permission denied", 13),
        (file("without-interpreter", 0o755), "No such file or directory", 2),
        (folder, "Permission denied", 13),
    ];
    for (program, reason, errno) in table {
        let expected = failed_to_start(&format!("cannot run {program}: {reason}"), errno);
        // A directory in PATH that may not be searched would change the error (execvp(3)).
        let spec = JobSpec::program(program.as_str()).arg("argument").env("PATH", "/usr/bin:/bin");
        assert_fails_to_start(&setup, spec, &expected);
    }
}

#[test]
fn an_argument_list_that_is_too_long_fails_to_start() {
    let setup = Setup::new();
    let one_long = vec!["x".repeat(3 << 20)];
    let many = vec!["x".repeat(100 << 10); 100];
    for arguments in [one_long, many] {
        let expected = failed_to_start("cannot run true: Argument list too long", 7);
        assert_fails_to_start(&setup, JobSpec::program("true").args(arguments), &expected);
    }
}

/// Asserts that a refused launch left no files.
fn assert_no_job(setup: &Setup) {
    assert_eq!(names_in(&setup.home.path().join("jobs")), [""; 0]);
    assert_eq!(names_in(&setup.home.path().join("inbox")), [""; 0]);
    assert_eq!(setup.homing.list(&ListOptions::default()).expect("a list"), []);
}

#[test]
fn an_environment_that_is_too_long_is_refused() {
    let setup = Setup::new();
    let spec = setup.script("true").env("LONG", "x".repeat(3 << 20));
    match setup.homing.launch(spec) {
        Err(Error::SupervisorNotStarted { source, .. }) => assert_eq!(source.raw_os_error(), Some(7)),
        other => panic!("{other:#?}"),
    }
    assert_no_job(&setup);
}

#[test]
fn a_working_directory_that_is_not_a_usable_directory_is_refused() {
    let setup = Setup::new();
    let file = setup.scratch("file");
    fs::write(&file, "").expect("a file");
    let ran = setup.scratch("ran");
    let script = format!("echo ran > {}", ran.display());
    for (cwd, reason) in [
        ("/no/such/directory", "No such file or directory"),
        (file.to_str().expect("text"), "not a directory"),
    ] {
        let refused =
            setup.program().args(["run", "--cwd", cwd, &script]).output().expect("the program runs");
        let message = refusal(&refused);
        assert!(message.contains(&format!("cannot run in {cwd}: ")) && message.contains(reason), "{message}");
        assert!(message.contains("\nhint: "), "{message}");
    }

    let folder = setup.scratch("removed");
    fs::create_dir(&folder).expect("a directory");
    let mut run = setup.program();
    run.args(["run", &script]);
    let mut removed = after("cd \"$0\"; rmdir \"$0\"", folder.to_str().expect("text"), &run);
    let message = refusal(&removed.output().expect("the program runs"));
    assert!(message.contains("No such file or directory"), "{message}");

    assert_no_job(&setup);
    assert!(!ran.exists());
}

#[test]
fn a_working_directory_that_is_removed_during_the_launch_fails_to_start() {
    let home = TempHome::new();
    let cwd = home.scratch().join("cwd");
    fs::create_dir(&cwd).expect("a directory");
    let supervisor = home.scratch().join("supervisor");
    fs::write(&supervisor, format!("#!/bin/sh\nrmdir {}\nexec {PROGRAM} \"$@\"\n", cwd.display()))
        .expect("a file");
    fs::set_permissions(&supervisor, fs::Permissions::from_mode(0o755)).expect("its mode");
    let open = OpenOptions::new().home(home.path()).config(homing::Config::default()).supervisor(supervisor);
    let setup = Setup { homing: open.open().expect("the home opens"), home };

    let expected = failed_to_start(&format!("cannot go to {}: No such file or directory", cwd.display()), 2);
    assert_fails_to_start(&setup, setup.script("true").current_dir(&cwd), &expected);
}

#[test]
fn a_launch_without_free_descriptors_is_refused_or_creates_a_complete_job() {
    let mut refused = 0;
    let mut limits = 3..=20;
    for limit in limits.clone() {
        let setup = Setup::new();
        let ran = setup.scratch("ran");
        let mut run = setup.program();
        run.args(["run", &format!("echo ran > {}", ran.display())]);
        let launched =
            after("ulimit -n $0 || exit 99", &limit.to_string(), &run).output().expect("the shell runs");
        println!("{limit} descriptors: {launched:?}");
        assert_no_half_job(&launched, || list(setup.program()), &ran);
        refused += usize::from(!launched.status.success());
    }
    assert!(refused > 0 && refused < limits.by_ref().count(), "the limits reach from too few to enough");
}

#[test]
fn a_launch_without_free_processes_is_refused_or_creates_a_complete_job() {
    if !is_root() {
        return skip("only root can become a user that has no other process");
    }
    let mut results = Vec::new();
    for limit in [1, 2, 3, 4, 30] {
        // Limits count all processes of a user, including zombies. No other process has this user id.
        let user = 200_000 + 100 * std::process::id() + limit;
        let setpriv = format!("setpriv --reuid={user} --regid={user} --clear-groups");
        let home = TempHome::new();
        std::os::unix::fs::chown(home.scratch(), Some(user), Some(user)).expect("chown");
        let as_user = |limited: &[&str], arguments: &[&str]| {
            let mut inner = program(&home);
            inner.args(arguments);
            let outer: Vec<&str> = setpriv.split(' ').chain(limited.iter().copied()).collect();
            through(&outer, &inner)
        };
        // Through a shell, as below: setpriv itself may still enter directories that only root may enter.
        let probe = ["bash", "-c", "exec \"$@\"", "probe"];
        if !as_user(&probe, &["--version"]).output().is_ok_and(|output| output.status.success()) {
            return skip("another user cannot run the program at its path, or setpriv is missing");
        }
        let ran = home.scratch().join("ran");
        let script = format!("echo ran > {}", ran.display());
        let limited = ["bash", "-c", "ulimit -u $0 && exec \"$@\"", &limit.to_string()];
        let mut run = as_user(&limited, &["run", "--cwd", "/", &script]);
        let launched = run.output().expect("setpriv runs");
        let jobs = || list(as_user(&[], &[]));
        assert_no_half_job(&launched, jobs, &ran);
        results.push(match jobs().first() {
            None => "refused".to_owned(),
            Some(job) => format!("{} {}", job["outcome"]["kind"], job["outcome"]["errno"]).replace('"', ""),
        });
    }
    // With one process, the supervisor fails to start; with two, the job. EAGAIN is 11.
    assert_eq!(results[..2], ["refused", "failed_to_start 11"]);
    assert_eq!(
        results.last().map(String::as_str),
        Some("exited null"),
        "the limits reach from too few to enough"
    );
}

/// The output of a job that a shell launches after the script `shell`.
fn output_after(shell: &str, argument: &str, words: &[&str]) -> String {
    let setup = Setup::new();
    let mut run = setup.program();
    run.args(["run", "--"]).args(words);
    let id = stdout(&after(shell, argument, &run).output().expect("the shell runs"));
    let job = setup.end_of(id.parse().expect("an id"));
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 0 });
    let output = setup.homing.output(job.id, 0, 100_000).expect("output");
    String::from_utf8(output.bytes).expect("text")
}

#[test]
fn descriptors_of_the_launcher_reach_neither_the_job_nor_its_supervisor() {
    let open = "exec 7<>\"$0\" 9<\"$0\" 200>>\"$0\"";
    let file = tempfile::NamedTempFile::new().expect("a file");
    let file = file.path().to_str().expect("text");
    // ls(1) uses the fourth to read the list.
    assert_eq!(output_after(open, file, &["ls", "/proc/self/fd"]), "0\n1\n2\n3\n");
    let links =
        output_after(open, file, &["readlink", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"]);
    let links: Vec<&str> = links.lines().collect();
    assert!(
        matches!(links[..], ["/dev/null", out, err] if out == err && out.starts_with("pipe:")),
        "{links:?}"
    );

    let setup = Setup::new();
    let mut run = setup.program();
    run.args(["run", "--", "sleep", setup.home.mark()]);
    // Returns although the job keeps running: no process holds the output of the launcher open.
    let id = stdout(&after(open, file, &run).output().expect("the shell runs")).parse().expect("an id");
    let job = setup.wait_for_marked(1).remove(0);
    for pid in [job.pid, setup.supervisor(id).pid] {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
        for descriptor in descriptors {
            let target = fs::read_link(descriptor.expect("an entry").path()).unwrap_or_default();
            assert_ne!(target, Path::new(file), "process {pid}");
        }
    }
    setup.homing.kill(id, KilledBy::Operator).expect("it ends");
}

/// Ignores and blocks signals, as nohup(1) and some hosts do.
const DEAF: &str = "trap '' HUP INT QUIT PIPE ALRM TERM USR1 XFSZ TSTP TTIN TTOU
    set -- env --ignore-signal=CHLD --block-signal=USR2,CHLD,TERM,RTMIN+3 -- \"$@\"";

fn env_can_block_signals() -> bool {
    let env =
        Command::new("env").args(["--ignore-signal=CHLD", "--block-signal=USR2", "--", "true"]).output();
    env.is_ok_and(|output| output.status.success())
}

#[test]
fn a_job_begins_with_default_signals() {
    if !env_can_block_signals() {
        return skip("this env(1) cannot block signals");
    }
    let status = output_after(DEAF, "", &["cat", "/proc/self/status"]);
    let signals: Vec<&str> =
        status.lines().filter(|line| line.starts_with("Sig") && !line.starts_with("SigQ")).collect();
    let none = ["SigPnd", "SigBlk", "SigIgn", "SigCgt"].map(|name| format!("{name}:\t0000000000000000"));
    assert_eq!(signals, none);
}

#[test]
fn signals_that_the_launcher_ignores_or_blocks_still_reach_the_supervisor() {
    if !env_can_block_signals() {
        return skip("this env(1) cannot ignore signals");
    }
    let setup = Setup::new();
    let launch = |script: &str| {
        let mut run = setup.program();
        run.args(["run", script]);
        stdout(&after(DEAF, "", &run).output().expect("the shell runs")).parse().expect("an id")
    };
    let ended = setup.end_of(launch("exit 7"));
    assert_eq!(outcome(&ended), &Outcome::Exited { exit_code: 7 });

    let id = launch(&format!("exec sleep {}", setup.home.mark()));
    let killed = setup.homing.kill(id, KilledBy::Operator).expect("it ends");
    assert_eq!(outcome(&killed), &Outcome::Killed { by: KilledBy::Operator });
}

#[test]
fn a_job_gets_the_umask_of_its_launcher_and_the_files_of_homing_stay_private() {
    for umask in ["0000", "0027", "0077"] {
        let setup = Setup::new();
        let made = setup.scratch("made");
        let mut run = setup.program();
        run.args(["run", &format!("umask; : > {}", made.display())]);
        let id = stdout(&after("umask $0", umask, &run).output().expect("the shell runs"));
        let job = setup.end_of(id.parse().expect("an id"));
        let printed = setup.homing.output(job.id, 0, 100).expect("output").bytes;
        assert_eq!(String::from_utf8_lossy(&printed).trim_end(), umask);
        let bits = u32::from_str_radix(umask, 8).expect("a number");
        assert_eq!(mode(&made), 0o666 & !bits);

        let home = TempHome::new();
        let mut run = program(&home);
        run.args(["run", "echo hello"]);
        stdout(&after("umask $0", umask, &run).output().expect("the shell runs"));
        let mut list = program(&home);
        list.arg("list");
        stdout(&after("umask $0", umask, &list).output().expect("the shell runs"));
        assert_private(&home.path());
    }
}

/// Asserts that other users can read nothing in a home.
fn assert_private(home: &Path) {
    assert_eq!(mode(home), 0o700);
    for path in everything_below(home) {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        // The entry may have been removed meanwhile.
        if fs::symlink_metadata(&path).is_ok() {
            assert_eq!(format!("{:o}", mode(&path)), format!("{wanted:o}"), "{}", path.display());
        }
    }
}

fn files_that_contain(home: &Path, secret: &str) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        fs::read(path)
            .is_ok_and(|bytes| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
    };
    everything_below(home).into_iter().filter(holds).collect()
}

fn processes_that_show(secret: &str) -> Vec<testkit::Process> {
    processes_where(|process| process.command_line.contains(secret))
}

#[test]
fn secrets_are_not_in_files_or_arguments() {
    let setup = Setup::new();
    let [inherited, passed, in_script] =
        ["inherited", "passed", "script"].map(|name| format!("{name}-secret-{}", setup.home.mark()));
    let script = "echo ${#INHERITED} ${#PASSED}; head -c 2000000 /dev/zero; exec cat < \"$FIFO\"";
    let fifo = setup.scratch("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).expect("a fifo");
    let mut run = setup.program();
    run.env("INHERITED", &inherited).env("FIFO", &fifo);
    run.args(["run", "--env", &format!("PASSED={passed}"), script]);
    let first = stdout(&run.output().expect("the program runs")).parse().expect("an id");
    let spec = JobSpec::script(format!(": {in_script}; {script}")).expect("a script");
    let spec = spec.env("INHERITED", &inherited).env("PASSED", &passed).env("FIFO", fifo.to_string_lossy());
    let second = setup.launch_spec(spec).id;

    let printed = format!("{} {}\n", inherited.len(), passed.len()).into_bytes();
    let total = printed.len() as u64 + 2_000_000;
    for id in [first, second] {
        wait_until("it has written everything", || setup.homing.output_end(id).expect("output") == total);
        let output = setup.homing.output(id, 0, printed.len()).expect("output").bytes;
        assert_eq!(output, printed, "the job has both");
    }
    let check = |when: &str| {
        assert_private(&setup.home.path());
        for secret in [&inherited, &passed] {
            assert_eq!(files_that_contain(&setup.home.path(), secret), [""; 0].map(PathBuf::from), "{when}");
            assert_eq!(processes_that_show(secret), [], "{when}");
        }
        // The command itself is stored, but no process has it in its arguments.
        assert_eq!(processes_that_show(&in_script), [], "{when}");
        assert!(!files_that_contain(&setup.home.path(), &in_script).is_empty(), "{when}");
    };
    check("while they run");
    fs::write(&fifo, "").expect("both go on");
    for id in [first, second] {
        // A job that has not begun to read yet would wait forever.
        wait_until("it has finished", || {
            let unblocked = rustix::fs::open(&fifo, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
            unblocked.is_ok() && setup.homing.get(id).expect("the job").outcome().is_some()
        });
        assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 0 });
        setup.homing.result_text(id).expect("a text");
    }
    setup.homing.acknowledge(&[first]).expect("it has finished");
    assert_eq!(ids(&setup.homing.list(&ListOptions::default()).expect("a list")), [second, first]);
    check("when they have finished");
}

#[test]
fn a_script_with_arguments_and_a_program_without_a_name_are_refused() {
    let setup = Setup::new();
    let refused = |spec: JobSpec| setup.homing.launch(spec).expect_err("it is refused").to_string();
    assert!(refused(setup.script("true").arg("x")).contains("a script takes no arguments"));
    assert!(refused(JobSpec::program("")).contains("the command is empty"));
    assert!(refused(JobSpec::program("true").arg("a\0b")).contains("NUL"));
    let jobs = fs::read_dir(setup.home.path().join("jobs")).expect("a home");
    assert_eq!(jobs.count(), 0);
}
