//! Launches with a key: repeated, concurrent, and interrupted at every step. The command always runs once.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use homing::core::LostReason;
use homing::{Error, FollowUpState, Job, JobId, JobSpec, ListOptions, Outcome, StateName, Timeout};
use rustix::process::{Pid, Signal, kill_process};
use testkit::wait_until;

use crate::evidence::{names_in, starting_line, through};
use crate::setup::{PROGRAM, Setup, outcome, stdout};

const EXITED: Outcome = Outcome::Exited { exit_code: 0 };

/// A script that appends a line to a file in each run.
fn noting_script(setup: &Setup) -> (String, PathBuf) {
    let file = setup.scratch("ran");
    (format!("echo ran >> {}", file.display()), file)
}

fn runs(file: &Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

fn keyed(setup: &Setup, script: &str, key: &str) -> JobSpec {
    setup.script(script).key(key.parse().expect("a key"))
}

/// `homing run` with the key `k`.
fn run_keyed(setup: &Setup, script: &str) -> Command {
    let mut run = setup.program();
    run.args(["run", "--key", "k", script]);
    run
}

fn id(launched: &std::process::Output) -> JobId {
    stdout(launched).parse().expect("an id")
}

fn all_jobs(setup: &Setup) -> Vec<Job> {
    setup.homing.list(&ListOptions::default()).expect("a list")
}

#[test]
fn a_launch_that_is_repeated_with_its_key_returns_the_same_job() {
    let setup = Setup::new();
    let (script, file) = noting_script(&setup);
    let script = format!("{script}; sleep MARK");
    let first = setup.launch_spec(keyed(&setup, &script, "message-1"));
    setup.wait_for_marked(1);
    let again = setup.launch_spec(keyed(&setup, &script, "message-1"));
    assert_eq!((again.id, again.state.clone()), (first.id, first.state));
    assert_eq!(again.key.as_ref().map(homing::JobKey::as_str), Some("message-1"));

    setup.homing.kill(first.id, homing::KilledBy::Operator).expect("it ends");
    setup.homing.acknowledge(&[first.id]).expect("it has finished");
    let repeated = setup.launch_spec(keyed(&setup, &script, "message-1"));
    assert_eq!(repeated, setup.homing.get(first.id).expect("the job"), "as it is now");
    assert_eq!(repeated.follow_up.state, FollowUpState::Acknowledged);

    let spec = keyed(&setup, "true", "message-1").session("chat-2".parse().expect("a session"));
    let of_another_session = setup.launch_spec(spec).id;
    let of_another_key = setup.launch_spec(keyed(&setup, "true", "message-2")).id;
    assert!(of_another_session != first.id && of_another_key != first.id);
    setup.end_of(of_another_session);
    setup.end_of(of_another_key);
    assert_eq!((runs(&file), all_jobs(&setup).len()), (1, 3));
}

#[test]
fn a_key_with_another_request_is_refused() {
    let setup = Setup::new();
    let ask = || keyed(&setup, "true", "k");
    let id = setup.launch_spec(ask()).id;
    setup.end_of(id);
    for (spec, difference) in [
        (keyed(&setup, "false", "k"), "command"),
        (ask().current_dir("/"), "directory"),
        (ask().name("a name"), "name"),
        (ask().timeout(Timeout::None), "time limit"),
        (ask().grace(Duration::from_secs(1)), "grace period"),
        (ask().leftovers(homing::LeftoverPolicy::Keep), "leftovers policy"),
        (ask().follow_up(homing::FollowUpPolicy::Never), "follow-up policy"),
        (ask().sink("desktop"), "sink"),
    ] {
        match setup.homing.launch(spec) {
            Err(Error::KeyTaken { key, job, differences }) => {
                assert_eq!((key.as_str(), job, differences), ("k", id, vec![difference]));
            }
            other => panic!("{difference}: {other:#?}"),
        }
    }
    // Settings that come from the configuration are not compared, nor is the environment, which is not on disk.
    for spec in [ask().timeout(Timeout::After(Duration::from_secs(3600))), ask().env("A", "b")] {
        assert_eq!(setup.launch_spec(spec).id, id);
    }
    let refused = setup.program().args(["run", "--key", "k", "false"]).output().expect("it runs");
    let message = String::from_utf8(refused.stderr).expect("text");
    let expected = format!(
        "homing: error: key \"k\" belongs to job {id}, which was launched with a different command\n"
    );
    assert!(message.starts_with(&expected) && message.contains("hint: choose a different key"), "{message}");
    assert_eq!(refused.status.code(), Some(1));
}

/// The steps of a launch with a key, and whether the job exists if the launcher dies right after.
const STEPS: [(&str, bool); 8] = [
    ("launch/directory_made", false),
    ("launch/record_made", false),
    ("launch/script_written", false),
    ("launch/spec_written", false),
    ("launch/published", true),
    ("launch/inbox_entry_made", true),
    ("launch/spawned", true),
    ("launch/durable", true),
];

#[test]
fn a_launch_that_is_repeated_after_its_launcher_was_killed_at_any_step_runs_the_command_once() {
    // The launcher alone, then also the supervisor, which has the same points.
    for supervisor in ["", ";supervise/locked=return"] {
        for (point, is_job) in STEPS {
            let setup = Setup::new();
            let (script, file) = noting_script(&setup);
            let crash = format!("{point}=return{supervisor}");
            let launched = run_keyed(&setup, &script).env("FAILPOINTS", &crash).output();
            assert!(
                !launched.expect("the program starts").status.success(),
                "{crash}: the launcher survived"
            );
            assert_eq!(!names_in(&setup.home.path().join("jobs")).is_empty(), is_job, "{crash}");

            let id = id(&run_keyed(&setup, &script).output().expect("the program runs"));
            let job = setup.end_of(id);
            assert_eq!((outcome(&job), runs(&file)), (&EXITED, 1), "{crash}");
            assert_eq!(job.follow_up.state, FollowUpState::Pending, "{crash}");
            assert_eq!(all_jobs(&setup), [job], "{crash}");
            assert_eq!(names_in(&setup.home.path().join("launching")), [""; 0], "{crash}: nothing is left");
        }
    }
}

/// Starts eight launchers at once, and returns the ids that they printed.
fn eight_at_once(setup: &Setup, script: &str) -> Vec<JobId> {
    let (line, start) = starting_line();
    let launchers: Vec<Child> = (0..8)
        .map(|_| {
            let mut launcher =
                through(&["bash", "-c", "read -r; exec \"$@\"", "bash"], &run_keyed(setup, script));
            launcher.stdin(line.try_clone().expect("a descriptor")).stdout(Stdio::piped());
            launcher.spawn().expect("the shell starts")
        })
        .collect();
    drop((line, start));
    launchers.into_iter().map(|child| id(&child.wait_with_output().expect("it ends"))).collect()
}

#[test]
fn eight_launchers_at_once_start_one_job() {
    for _ in 0..10 {
        let setup = Setup::new();
        let (script, file) = noting_script(&setup);
        let ids = eight_at_once(&setup, &script);
        let job = setup.end_of(ids[0]);
        assert_eq!((ids, runs(&file), outcome(&job)), (vec![job.id; 8], 1, &EXITED));
        assert_eq!(job.state.finished().expect("it has finished").leftovers, []);
        assert_eq!(all_jobs(&setup), [job]);
        assert_eq!(names_in(&setup.home.path().join("launching")), [""; 0]);
    }
}

#[test]
fn eight_launchers_at_once_start_the_job_whose_launcher_was_killed() {
    for (point, _) in STEPS {
        let setup = Setup::new();
        let (script, file) = noting_script(&setup);
        let crash = run_keyed(&setup, &script).env("FAILPOINTS", format!("{point}=return")).output();
        assert!(!crash.expect("the program starts").status.success(), "{point}: the launcher survived");
        let ids = eight_at_once(&setup, &script);
        let job = setup.end_of(ids[0]);
        assert_eq!((ids, runs(&file), outcome(&job)), (vec![job.id; 8], 1, &EXITED), "{point}");
        assert_eq!(all_jobs(&setup), [job], "{point}");
    }
}

#[test]
fn eight_launchers_at_once_replace_a_job_that_was_being_removed() {
    for _ in 0..5 {
        let setup = Setup::new();
        let (script, file) = noting_script(&setup);
        let first = id(&run_keyed(&setup, &script).output().expect("the program runs"));
        setup.end_of(first);
        setup.homing.acknowledge(&[first]).expect("it has finished");
        fs::remove_file(setup.homing.job_path(first).join("spec.json")).expect("it was there");

        let ids = eight_at_once(&setup, &script);
        let job = setup.end_of(first);
        assert_eq!((ids, runs(&file), outcome(&job)), (vec![first; 8], 2, &EXITED));
        assert_eq!(job.follow_up.state, FollowUpState::Pending, "the job before it was acknowledged");
        assert_eq!(all_jobs(&setup), [job]);
    }
}

#[test]
fn after_a_prune_the_key_is_free_again_and_its_next_job_is_followed_up() {
    let setup = Setup::new();
    let (script, file) = noting_script(&setup);
    for round in 1..=3 {
        let id = setup.launch_spec(keyed(&setup, &script, "k")).id;
        let job = setup.end_of(id);
        assert_eq!((runs(&file), job.follow_up.state), (round, FollowUpState::Pending));
        assert_eq!(setup.homing.prune(Duration::ZERO).expect("it can be pruned").removed, []);
        setup.homing.acknowledge(&[id]).expect("it has finished");
        let pruned = || setup.homing.prune(Duration::ZERO).expect("it can be pruned").removed == [id];
        wait_until("it is pruned", pruned);
        assert_eq!(all_jobs(&setup), []);
    }
}

#[test]
fn a_key_whose_job_another_program_removed_is_free_and_its_next_job_is_followed_up() {
    let setup = Setup::new();
    let first = setup.launch_spec(keyed(&setup, "true", "k")).id;
    setup.end_of(first);
    setup.homing.acknowledge(&[first]).expect("it has finished");
    fs::remove_dir_all(setup.homing.job_path(first)).expect("it was there");

    let again = setup.launch_spec(keyed(&setup, "exit 3", "k")).id;
    let job = setup.end_of(again);
    assert_eq!((again, outcome(&job)), (first, &Outcome::Exited { exit_code: 3 }));
    assert_eq!(job.follow_up.state, FollowUpState::Pending);
    assert_eq!(setup.homing.prune(Duration::ZERO).expect("it can be pruned").removed, []);
}

#[test]
fn a_job_that_seemed_never_started_runs_when_its_launch_is_repeated() {
    let setup = Setup::new();
    let (script, file) = noting_script(&setup);
    let crash = run_keyed(&setup, &script).env("FAILPOINTS", "launch/inbox_entry_made=return").output();
    assert!(!crash.expect("the program starts").status.success());
    let list = setup.program().args(["list", "--json"]).env("FAILPOINTS", "start_grace=return(0)").output();
    assert!(stdout(&list.expect("the program runs")).contains("never_started"));

    let job = setup.end_of(setup.launch_spec(keyed(&setup, &script, "k")).id);
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 0 });
    assert_eq!(runs(&file), 1);
    assert_eq!(job.follow_up.state, FollowUpState::Pending, "its session is notified of the actual outcome");
}

#[test]
fn a_job_that_was_recovered_before_its_launch_was_repeated_is_returned_unchanged() {
    let setup = Setup::new();
    let (script, file) = noting_script(&setup);
    let crash = run_keyed(&setup, &script).env("FAILPOINTS", "launch/inbox_entry_made=return").output();
    assert!(!crash.expect("the program starts").status.success());
    let recover = setup.program().arg("recover").env("FAILPOINTS", "start_grace=return(0)").output();
    assert!(stdout(&recover.expect("the program runs")).contains("recovered"));

    let job = setup.launch_spec(keyed(&setup, &script, "k"));
    assert_eq!(outcome(&job), &Outcome::Lost { reason: LostReason::NeverStarted });
    assert_eq!(runs(&file), 0, "given up, and run all the same");
    let output = run_keyed(&setup, &script).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did not start"), "{output:#?}");
}

#[test]
fn a_launch_whose_supervisor_is_stopped_returns_the_job_as_starting() {
    let setup = Setup::new();
    let (script, file) = noting_script(&setup);
    let pid_file = setup.scratch("pid");
    let supervisor = setup.scratch("supervisor");
    let stop = format!("#!/bin/sh\necho $$ > {}\nkill -STOP $$\nexec {PROGRAM} \"$@\"\n", pid_file.display());
    fs::write(&supervisor, stop).expect("a file");
    fs::set_permissions(&supervisor, fs::Permissions::from_mode(0o755)).expect("its mode");
    for key in [&["--key", "k"][..], &[]] {
        let _ = (fs::remove_file(&file), fs::remove_file(&pid_file));
        let mut run = setup.program();
        run.arg("run").args(key).arg(&script);
        run.env("HOMING_SUPERVISOR", &supervisor).env("FAILPOINTS", "answer_timeout=return(300)");
        let launched = run.output().expect("the program runs");
        let id = id(&launched);
        assert_eq!(setup.homing.get(id).expect("the job").state.name(), StateName::Starting);
        let message = String::from_utf8(launched.stderr).expect("text");
        assert!(message.contains(&format!("job {id} is starting")), "{message}");

        let pid = || fs::read_to_string(&pid_file).unwrap_or_default().trim().parse::<i32>();
        let is_stopped =
            |pid| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "));
        wait_until("it is stopped", || pid().is_ok_and(is_stopped));
        let pid = pid().expect("a pid");
        kill_process(Pid::from_raw(pid).expect("a pid"), Signal::CONT).expect("it is stopped");
        assert_eq!((outcome(&setup.end_of(id)), runs(&file)), (&EXITED, 1));
    }
}

#[test]
fn streams_stay_apart_if_the_supervisor_answers_late() {
    let setup = Setup::new();
    let supervisor = setup.scratch("supervisor");
    let slow = format!(
        "#!/bin/sh\nuntil [ -e {0} ]; do sleep 0.01; done\nexec {PROGRAM} \"$@\"\n",
        setup.scratch("go").display()
    );
    fs::write(&supervisor, slow).expect("a file");
    fs::set_permissions(&supervisor, fs::Permissions::from_mode(0o755)).expect("its mode");
    let mut run = setup.program();
    run.args(["run", "--wait", "--split-stderr", "echo out; echo err >&2"]);
    run.env("HOMING_SUPERVISOR", &supervisor).env("FAILPOINTS", "answer_timeout=return(300)");
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let mut errors = BufReader::new(run.stderr.take().expect("a pipe"));
    let mut stderr = String::new();
    while !stderr.contains("is starting: its supervisor has not answered") {
        assert_ne!(errors.read_line(&mut stderr).expect("text"), 0, "{stderr}");
    }
    fs::write(setup.scratch("go"), "").expect("a file");
    errors.read_to_string(&mut stderr).expect("text");
    let output = run.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"out\n".to_vec()), "{stderr}");
    assert!(stderr.ends_with("\nerr\n"), "{stderr}");
}

#[test]
fn a_job_that_stops_its_supervisor_does_not_delay_its_launch() {
    let setup = Setup::new();
    // It may be stopped before it has answered or after that.
    for _ in 0..5 {
        let mut run = setup.program();
        run.args(["run", "kill -STOP $PPID; exit 7"]).env("FAILPOINTS", "answer_timeout=return(300)");
        let id = id(&run.output().expect("the program runs"));
        let supervisor = setup.supervisor(id).pid.to_string();
        wait_until("it continues after SIGCONT", || {
            let continued = Command::new("kill").args(["-CONT", &supervisor]).stderr(Stdio::null()).status();
            continued.is_err() || setup.homing.get(id).expect("the job").outcome().is_some()
        });
        assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 7 });
    }
}
