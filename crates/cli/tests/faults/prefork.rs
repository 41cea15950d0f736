//! The supervisor that `homing run` forks before the job exists. It is the same as one that is started as a program, and
//! it never stays without a job.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use homing::{JobId, KilledBy, ListOptions, Outcome};
use testkit::wait_until;

use crate::setup::{PROGRAM, Setup, outcome, stdout};

/// `homing run` with what a supervisor must pass on, and what it must not show.
fn run(setup: &Setup, script: &str) -> Command {
    let mut run = setup.program();
    run.args(["run", "--env", "PASSED=a=b", "--env", "REPLACED=new", "--env", "EMPTY="]);
    run.args(["--env", "PASSED=c=d", script]);
    run.env("REPLACED", "old").env("HOMING_WAKE", "w-1").env("HOMING_JOB", "000000000000").env("KEPT", "yes");
    run
}

fn launched(mut run: Command) -> JobId {
    stdout(&run.output().expect("the program runs")).parse().expect("an id")
}

/// Everything that other processes see of a supervisor and that does not depend on its job.
#[derive(Debug, PartialEq, Eq)]
struct Appearance {
    arguments: Vec<String>,
    environment: BTreeSet<String>,
    directory: PathBuf,
    descriptors: BTreeSet<String>,
    status: Vec<String>,
    leads_its_session: bool,
}

impl Appearance {
    fn of(pid: u32, id: JobId) -> Appearance {
        let of_any_job = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(id.as_str(), "ID");
        let parts = |name: &str| -> Vec<String> {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).expect("it runs");
            let bytes = bytes.strip_suffix(&[0]).expect("the last one ends too");
            bytes.split(|byte| *byte == 0).map(of_any_job).collect()
        };
        let environment = parts("environ");
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").map(|descriptor| {
            let target = fs::read_link(descriptor.expect("an entry").path()).expect("a link");
            of_any_job(target.to_string_lossy().split(":[").next().unwrap_or_default().as_bytes())
        });
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let compared = ["Umask", "Threads", "SigPnd", "SigBlk", "SigIgn", "NoNewPrivs", "CapEff"];
        let is_compared = |line: &&str| compared.iter().any(|name| line.starts_with(name));
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let session =
            stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(3)?.parse().ok());
        let appearance = Appearance {
            arguments: parts("cmdline"),
            environment: environment.iter().cloned().collect(),
            directory: fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs"),
            descriptors: descriptors.collect(),
            status: status.lines().filter(is_compared).map(str::to_owned).collect(),
            leads_its_session: session == Some(pid),
        };
        assert_eq!(appearance.environment.len(), environment.len(), "each variable once: {environment:#?}");
        appearance
    }

    /// Of the supervisor of a job that this launches.
    fn launched_by(setup: &Setup, run: Command) -> Appearance {
        let id = launched(run);
        let pid = setup.supervisor(id).pid;
        wait_until("it stores the output", || {
            let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
            let names = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
            names.into_iter().any(|name| name.ends_with("output.log"))
        });
        let appearance = Appearance::of(pid, id);
        setup.homing.kill(id, KilledBy::Operator).expect("it ends");
        appearance
    }
}

#[test]
fn a_forked_supervisor_looks_like_one_that_was_started_as_a_program() {
    let setup = Setup::new();
    let script = format!("exec sleep {}", setup.home.mark());
    let forked = Appearance::launched_by(&setup, run(&setup, &script));
    let mut started = run(&setup, &script);
    started.env("HOMING_SUPERVISOR", PROGRAM);
    let mut started = Appearance::launched_by(&setup, started);
    assert!(started.environment.remove(&format!("HOMING_SUPERVISOR={PROGRAM}")));
    assert_eq!(forked, started);

    let directory = setup.home.path().join("jobs/ID");
    assert_eq!(forked.arguments, ["homing", "__supervise", directory.to_str().expect("text")]);
    let has = |entry: &str| forked.environment.contains(entry);
    assert!(
        has("PASSED=c=d") && has("REPLACED=new") && has("EMPTY=") && has("KEPT=yes") && has("HOMING_JOB=ID")
    );
    assert!(!forked.environment.iter().any(|entry| entry.starts_with("HOMING_WAKE=")));

    // The same where the kernel does not let a process replace its arguments.
    let mut again = run(&setup, &script);
    again.env("FAILPOINTS", "own_start=return");
    let mut again = Appearance::launched_by(&setup, again);
    assert!(again.environment.remove("FAILPOINTS=own_start=return"));
    assert_eq!(again, forked);
}

#[test]
fn a_job_of_a_forked_supervisor_gets_its_environment() {
    for failpoints in ["", "own_start=return"] {
        let setup = Setup::new();
        let mut run =
            run(&setup, "echo $PASSED $REPLACED \"<$EMPTY>\" $KEPT \"<$HOMING_WAKE>\" $HOMING_JOB; exit 3");
        run.env("FAILPOINTS", failpoints);
        let id = launched(run);
        assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 3 });
        let output = setup.homing.output(id, 0, 1000).expect("output").bytes;
        assert_eq!(String::from_utf8_lossy(&output), format!("c=d new <> yes <> {id}\n"));
    }
}

#[test]
fn a_large_environment_reaches_the_job_of_a_forked_supervisor() {
    let setup = Setup::new();
    let mut run = setup.program();
    run.arg("run");
    // More than a pipe holds.
    for number in 0..3 {
        run.args(["--env".to_owned(), format!("LARGE{number}={}", "x".repeat(60_000))]);
    }
    run.arg("echo ${#LARGE0} ${#LARGE1} ${#LARGE2}");
    let id = launched(run);
    assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 0 });
    assert_eq!(setup.homing.output(id, 0, 1000).expect("output").bytes, b"60000 60000 60000\n");
}

#[test]
fn a_forked_supervisor_without_a_job_exits() {
    let setup = Setup::new();
    for (arguments, code) in [
        (&["run"][..], 2),
        (&["run", "--no-such-option", "true"], 2),
        (&["run", "--help"], 0),
        (&["run", "--cwd", "/no/such/directory", "true"], 2),
    ] {
        let output = setup.program().args(arguments).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    }
    wait_until("no process is left", || setup.home.processes().is_empty());

    let keyed = |arguments: &[&str]| {
        let mut run = setup.program();
        run.arg("run").args(arguments).args(["--key", "k", &format!("exec sleep {}", setup.home.mark())]);
        run
    };
    let id = launched(keyed(&[]));
    let mut waiting = keyed(&["--wait"]).spawn().expect("it starts");
    // The job, its supervisor, and the program that waits.
    wait_until("the second supervisor has exited", || {
        let processes = setup.home.processes();
        let waits = processes.iter().any(|process| process.pid == waiting.id());
        waits && processes.len() == 3 && setup.home.marked().len() == 2
    });
    setup.homing.kill(id, KilledBy::Operator).expect("it ends");
    assert!(!waiting.wait().expect("it ends").success());
    assert_eq!(setup.homing.list(&ListOptions::default()).expect("a list").len(), 1);
}

#[test]
fn a_forked_supervisor_that_is_killed_before_it_has_a_job_is_replaced_or_reported() {
    let setup = Setup::new();
    let file = setup.scratch("ran");
    let mut run = setup.program();
    run.args(["run", &format!("echo ran >> {}", file.display())]).env("FAILPOINTS", "prefork/waiting=return");
    run.output().expect("the program runs");
    wait_until("it has ended", || setup.home.processes().is_empty());
    let mut jobs = setup.homing.list(&ListOptions::default()).expect("a list");
    assert_eq!(jobs.len(), 1);
    let job = jobs.remove(0);
    let ran = fs::read_to_string(&file).unwrap_or_default();
    match outcome(&job) {
        Outcome::Exited { exit_code: 0 } => assert_eq!(ran, "ran\n"),
        Outcome::Lost { .. } => assert_eq!(ran, ""),
        other => panic!("{other:?}"),
    }
}
