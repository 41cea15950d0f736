//! Supervisors and launchers that die at named points.

use std::fs;

use homing::core::LostReason;
use homing::{FollowUpState, JobId, Outcome};
use testkit::wait_until;

use crate::setup::{Setup, kill_9, outcome, stdout};

const LOST: Outcome = Outcome::Lost { reason: LostReason::SupervisorDied };

#[test]
fn a_job_whose_supervisor_is_killed_is_lost_and_leaves_no_process() {
    let setup = Setup::new();
    let job = setup.launch("sleep MARK & setsid sleep MARK & (env -i setsid sleep MARK &) ; wait");
    setup.wait_for_marked(3);
    kill_9(setup.supervisor(job.id).pid);

    let job = setup.recovered_end_of(job.id);
    assert_eq!(outcome(&job), &LOST);
    assert_eq!(job.follow_up.state, FollowUpState::Pending);
    assert_eq!(setup.home.marked(), []);
    let ended = &job.state.finished().expect("it has finished").leftovers;
    assert!(ended.len() >= 3, "what was ended is named: {ended:#?}");
}

#[test]
fn an_unrelated_process_is_not_ended_with_a_lost_job() {
    let setup = Setup::new();
    let other = setup.launch("exec sleep MARK");
    let job = setup.launch("exec sleep MARK");
    setup.wait_for_marked(2);
    kill_9(setup.supervisor(job.id).pid);

    assert_eq!(outcome(&setup.recovered_end_of(job.id)), &LOST);
    assert_eq!(setup.home.marked().len(), 1, "the other job runs on");
    setup.homing.kill(other.id, homing::KilledBy::Operator).expect("it can be ended");
}

/// Launches a job that writes into a file, with its supervisor crashing at `point`, and returns how often it wrote.
fn run_with_crash_at(setup: &Setup, point: &str, script: &str) -> (JobId, String) {
    let file = setup.scratch("ran");
    let script = format!("echo ran >> {}; {script}", file.display());
    let spec = setup.script(&script).env("FAILPOINTS", format!("{point}=return"));
    let id = setup.launch_spec(spec).id;
    let _ = setup.recovered_end_of(id);
    (id, fs::read_to_string(file).unwrap_or_default())
}

#[test]
fn a_supervisor_killed_before_the_gate_opens_runs_nothing() {
    for point in ["supervise/locked", "supervise/forked", "supervise/started_recorded"] {
        let setup = Setup::new();
        let file = setup.scratch("ran");
        let spec = setup
            .script(&format!("echo ran >> {}", file.display()))
            .env("FAILPOINTS", format!("{point}=return"));
        let id = setup.launch_spec(spec).id;
        // A job without a recorded process counts as never started only later. The test does not wait for that.
        let list =
            setup.program().args(["list", "--json"]).env("FAILPOINTS", "start_grace=return(0)").output();
        let list = stdout(&list.expect("the program runs"));
        assert!(list.contains(r#""kind":"lost""#), "{point}: {list}");
        let job = setup.end_of(id);
        assert_eq!(job.follow_up.state, FollowUpState::Pending, "{point}");
        assert!(!file.exists(), "{point}: the command ran");
    }
}

#[test]
fn a_supervisor_killed_after_the_end_was_recorded_loses_nothing() {
    let points = ["end_recorded", "finish_written", "finish_synced", "inbox_notified"];
    for point in points.map(|name| format!("supervise/{name}")) {
        let setup = Setup::new();
        // A process survives the main process, so that the end is recorded before the job has finished.
        let (id, ran) = run_with_crash_at(&setup, &point, "setsid sleep MARK & exit 7");
        let job = setup.end_of(id);
        assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 7 }, "{point}");
        assert_eq!(job.follow_up.state, FollowUpState::Pending, "{point}");
        assert_eq!((ran.as_str(), setup.home.marked().len()), ("ran\n", 0), "{point}");
    }
}

#[test]
fn a_supervisor_killed_before_the_end_was_recorded_says_so() {
    for point in ["supervise/answered", "supervise/main_ended"] {
        let setup = Setup::new();
        let (id, _) = run_with_crash_at(&setup, point, "setsid sleep MARK & exit 7");
        let job = setup.end_of(id);
        assert_eq!(outcome(&job), &LOST, "{point}");
        assert_eq!(setup.home.marked(), [], "{point}");
    }
}

/// The recorded decision is the outcome, although no process observed the end.
const KILLED: Outcome = Outcome::Killed { by: homing::KilledBy::Operator };

#[test]
fn a_supervisor_killed_while_it_ends_a_tree_leaves_nothing() {
    for point in ["supervise/tree_killed", "supervise/output_stored"] {
        let setup = Setup::new();
        let spec = setup
            .script("trap '' TERM; sleep MARK & setsid sleep MARK & wait; wait")
            .env("FAILPOINTS", format!("{point}=return"))
            .grace(std::time::Duration::from_millis(50));
        let id = setup.launch_spec(spec).id;
        setup.wait_for_marked(2);
        setup.homing.request_kill(id, homing::KilledBy::Operator).expect("it can be asked");
        let job = setup.recovered_end_of(id);
        assert_eq!(outcome(&job), &KILLED, "{point}");
        assert_eq!(setup.home.marked(), [], "{point}");
    }
}

#[test]
fn a_supervisor_killed_in_the_grace_time_leaves_the_recorded_reason() {
    let setup = Setup::new();
    let spec = setup
        .script("trap '' TERM; sleep MARK & setsid sleep MARK & wait; wait")
        .timeout(homing::Timeout::After(std::time::Duration::from_millis(300)))
        .env("FAILPOINTS", "supervise/end_decided=return");
    let id = setup.launch_spec(spec).id;
    let job = setup.recovered_end_of(id);
    assert_eq!(outcome(&job), &Outcome::TimedOut);
    assert_eq!(setup.home.marked(), []);
}

/// The steps of a launch, and whether the job exists if the launcher dies right after.
const LAUNCH_STEPS: [(&str, bool); 7] = [
    ("launch/directory_made", false),
    ("launch/record_made", false),
    ("launch/script_written", false),
    ("launch/spec_written", true),
    ("launch/inbox_entry_made", true),
    ("launch/spawned", true),
    ("launch/durable", true),
];

#[test]
fn a_launcher_killed_at_any_step_leaves_a_reported_job_or_no_job() {
    for (point, is_job) in LAUNCH_STEPS {
        let setup = Setup::new();
        let file = setup.scratch("ran");
        let script = format!("echo ran >> {}", file.display());
        let launched =
            setup.program().args(["run", &script]).env("FAILPOINTS", format!("{point}=return")).output();
        assert!(!launched.expect("the program starts").status.success(), "{point}: the launcher survived");

        let list = || {
            let mut list = setup.program();
            // A missing inbox entry does not matter: for a new ledger, every job is observed.
            stdout(
                &list
                    .args(["list", "--json"])
                    .env("FAILPOINTS", "start_grace=return(0)")
                    .output()
                    .expect("runs"),
            )
        };
        if !is_job {
            assert_eq!((list().as_str(), file.exists()), ("[]", false), "{point}");
            continue;
        }
        wait_until("the job has finished", || list().contains(r#""state":"finished""#));
        let jobs = list();
        let ran = fs::read_to_string(&file).unwrap_or_default();
        let never_started = jobs.contains("never_started");
        let exited = jobs.contains(r#""kind":"exited","exit_code":0"#);
        assert!(never_started != exited, "{point}: {jobs}");
        assert_eq!(ran, if exited { "ran\n" } else { "" }, "{point}: {jobs}");
        assert_eq!(jobs.matches(r#""state":"pending""#).count(), 1, "{point}: {jobs}");
    }
}

#[test]
fn a_supervisor_that_starts_too_late_runs_nothing() {
    let setup = Setup::new();
    let file = setup.scratch("ran");
    let script = format!("echo ran >> {}", file.display());
    let crash =
        setup.program().args(["run", &script]).env("FAILPOINTS", "launch/inbox_entry_made=return").output();
    assert!(!crash.expect("the program starts").status.success());
    let list = setup.program().args(["list", "--json"]).env("FAILPOINTS", "start_grace=return(0)").output();
    assert!(stdout(&list.expect("the program runs")).contains("never_started"));

    let directory = fs::read_dir(setup.home.path().join("jobs")).expect("jobs").next().expect("one job");
    // It is lost for good only when that is recorded.
    let recover = setup.program().arg("recover").env("FAILPOINTS", "start_grace=return(0)").output();
    assert!(stdout(&recover.expect("the program runs")).contains("recovered"));
    let late = setup.program().arg("__supervise").arg(directory.expect("a job").path()).output();
    assert!(late.expect("the program runs").status.success());
    assert!(!file.exists(), "given up, and run all the same");
}

#[test]
fn a_job_that_was_reported_lost_and_then_starts_is_followed_up_again() {
    let setup = Setup::new();
    let crash =
        setup.program().args(["run", "exit 3"]).env("FAILPOINTS", "launch/inbox_entry_made=return").output();
    assert!(!crash.expect("the program starts").status.success());
    let list = setup.program().args(["list", "--json"]).env("FAILPOINTS", "start_grace=return(0)").output();
    let list = stdout(&list.expect("the program runs"));
    assert!(list.contains("never_started") && list.contains(r#""recovery":"not_recorded""#), "{list}");

    let directory = fs::read_dir(setup.home.path().join("jobs")).expect("jobs").next().expect("one job");
    let directory = directory.expect("a job");
    let id: JobId = directory.file_name().to_str().expect("text").parse().expect("an id");
    setup.homing.acknowledge(&[id]).expect("its session has read that it is lost");
    let late = setup.program().arg("__supervise").arg(directory.path()).output();
    assert!(late.expect("the program runs").status.success());
    let job = setup.homing.get(id).expect("the job");
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 3 });
    assert_eq!(job.follow_up.state, FollowUpState::Pending, "the session is notified of the correction");
}

/// A copy of a home that was made while a job ran names the processes of the original job.
#[test]
fn a_copy_of_a_home_does_not_affect_the_running_job() {
    let setup = Setup::new();
    let id = setup.launch("exec sleep MARK").id;
    setup.wait_for_marked(1);
    let copy = setup.scratch("copy");
    let copied = std::process::Command::new("cp").arg("-a").arg(setup.home.path()).arg(&copy).status();
    assert!(copied.expect("cp runs").success());
    let in_the_copy = |args: &[&str]| {
        let output = setup.program().args(args).env("HOMING_HOME", &copy).output().expect("the program runs");
        String::from_utf8([output.stdout, output.stderr].concat()).expect("text")
    };
    assert!(in_the_copy(&["list", "--json"]).contains(r#""state":"running""#));
    for args in [&["recover"][..], &["recover", "--assume-gone"]] {
        let message = in_the_copy(args);
        assert!(
            message.contains("not recovered") && message.contains("this directory is a copy"),
            "{message}"
        );
    }
    let message = in_the_copy(&["kill", id.as_str()]);
    assert!(
        message.contains("this directory is a copy") && message.contains("in the original home"),
        "{message}"
    );
    in_the_copy(&["wait", "--timeout", "0.1s", id.as_str()]);
    assert_eq!(setup.home.marked().len(), 1, "the job runs on");
    assert!(setup.homing.get(id).expect("the job").outcome().is_none());
    setup.homing.kill(id, homing::KilledBy::Operator).expect("it ends");
    assert!(in_the_copy(&["wait", id.as_str()]).contains("lost"));
    assert!(in_the_copy(&["recover"]).contains("recovered"));
}

#[test]
fn commands_that_read_end_no_process_and_write_no_record() {
    let setup = Setup::new();
    let id = setup.launch("sleep MARK & wait").id;
    setup.wait_for_marked(1);
    kill_9(setup.supervisor(id).pid);
    let directory = setup.home.path().join("jobs").join(id.as_str());
    let record = fs::read(directory.join("record")).expect("a record");
    let lost = |args: &[&str]| {
        let output = setup.program().args(args).output().expect("the program runs");
        String::from_utf8(output.stdout).expect("text")
    };
    wait_until("it is seen as lost", || lost(&["list", "--json"]).contains("supervisor_died"));
    assert!(lost(&["show", id.as_str(), "--json"]).contains(r#""recovery":"not_recorded""#));
    assert!(lost(&["show", id.as_str()]).contains("run homing recover"));
    assert!(lost(&["wait", id.as_str(), "--json"]).contains("supervisor_died"));
    lost(&["output", id.as_str()]);
    lost(&["follow-ups"]);
    assert!(fs::read(directory.join("record")).expect("a record") == record, "the record is untouched");
    assert!(directory.join("lock").exists() && directory.join("command.sh").exists());
    assert_eq!(setup.home.marked().len(), 1, "its process is untouched");

    assert!(lost(&["recover"]).contains("recovered"));
    assert_eq!(setup.home.marked(), []);
    let job = setup.homing.get(id).expect("the job");
    let finished = job.state.finished().expect("it has finished");
    assert_eq!((&finished.outcome, finished.recovery), (&LOST, None));
    assert!(!finished.leftovers.is_empty(), "what was ended is named");
}
