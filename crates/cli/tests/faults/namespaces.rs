//! Jobs of another container or another user: which processes are signalled, which are only reported, and which
//! outcome is recorded.

use std::process::Command;

use homing::core::{LeftoverFate, Recovery};
use homing::{JobId, Outcome, RecoverOptions};
use testkit::{skip, wait_until};

use crate::setup::{PROGRAM, Setup, is_root, kill_9, outcome, stdout};

/// Runs a shell script in its own pid namespace with its own `/proc`, as in a container. `$PROGRAM` is the program.
fn in_container(setup: &Setup, script: &str) -> Command {
    let mut namespace = Command::new("unshare");
    let script = script.replace("MARK", setup.home.mark());
    namespace.args(["--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", &script]);
    namespace.env("PROGRAM", PROGRAM).env("HOMING_HOME", setup.home.path());
    namespace
}

/// In a container that is started again, low pids belong to unrelated processes: another program leads the session with
/// the number of the job's dead main process.
#[test]
fn after_a_container_restart_unrelated_processes_are_not_signalled() {
    if !is_root() {
        return skip("making a pid namespace needs root");
    }
    let setup = Setup::new();
    let first = in_container(&setup, r#""$PROGRAM" run 'exec sleep MARK'; "$PROGRAM" list --json"#).output();
    let first = stdout(&first.expect("unshare runs"));
    let id = first.lines().next().expect("an id").to_owned();
    let pid: u32 = first
        .split_once(r#""pid":"#)
        .and_then(|(_, rest)| rest.split_once(','))
        .and_then(|(pid, _)| pid.parse().ok())
        .expect("a pid");
    // In the second container, an unrelated process has the job's pid and leads its own session.
    let second = format!(
        r#"
        while [ "$(cat /proc/sys/kernel/ns_last_pid)" -lt {before} ]; do echo {before} > /proc/sys/kernel/ns_last_pid; done
        echo {before} > /proc/sys/kernel/ns_last_pid
        setsid sleep MARK & stranger=$!
        [ "$stranger" = {pid} ] || echo "pid was not reused"
        "$PROGRAM" recover
        "$PROGRAM" show {id} --json
        kill -0 "$stranger" && echo "stranger lives"
        kill -9 "$stranger"
        "#,
        before = pid - 1
    );
    let second = in_container(&setup, &second).output().expect("unshare runs");
    let text = String::from_utf8_lossy(&second.stdout);
    if text.contains("pid was not reused") {
        return skip(&format!("the pid could not be given to a stranger: {text}"));
    }
    assert!(text.contains(r#""reason":"supervisor_died""#), "{second:#?}");
    assert!(text.contains(r#""recovery":"not_searched""#), "{second:#?}");
    assert!(text.contains(r#""leftovers":[]"#), "{second:#?}");
    assert!(text.contains("stranger lives"), "{second:#?}");
}

/// Another container has the same home but other pids: it records that the job is lost and searches for no process. A
/// process in the container of the job does that later.
#[test]
fn a_job_of_another_container_is_recorded_and_its_processes_are_searched_in_that_container() {
    if !is_root() {
        return skip("making a pid namespace needs root");
    }
    let setup = Setup::new();
    let id = setup.launch("setsid sleep MARK & exec sleep MARK").id;
    setup.wait_for_marked(2);
    let running =
        in_container(&setup, &format!(r#""$PROGRAM" recover; "$PROGRAM" show {id} --json"#)).output();
    let running = stdout(&running.expect("unshare runs"));
    assert!(running.contains(r#""state":"running""#), "a running job is seen to run: {running}");

    kill_9(setup.supervisor(id).pid);
    wait_until("its main process ended with it", || setup.home.marked().len() == 1);
    let elsewhere = in_container(&setup, r#""$PROGRAM" recover --json"#).output();
    let elsewhere = stdout(&elsewhere.expect("unshare runs"));
    assert!(elsewhere.contains(id.as_str()), "{elsewhere}");
    let job = setup.homing.get(id).expect("the job");
    let finished = job.state.finished().expect("it has finished");
    assert_eq!(finished.recovery, Some(Recovery::NotSearched));
    assert_eq!(setup.home.marked().len(), 1, "nothing was signalled from there");

    let job = setup.recovered_end_of(id);
    let finished = job.state.finished().expect("it has finished");
    assert_eq!(finished.recovery, None);
    let fates: Vec<LeftoverFate> = finished.leftovers.iter().map(|leftover| leftover.fate).collect();
    assert_eq!(fates, [LeftoverFate::Ended]);
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn nothing_is_concluded_about_a_job_of_another_host() {
    let setup = Setup::new();
    let run =
        setup.program().args(["run", "exec sleep MARK".replace("MARK", setup.home.mark()).as_str()]).output();
    let id: JobId = stdout(&run.expect("the program runs")).parse().expect("an id");
    setup.wait_for_marked(1);
    let supervisor = setup.supervisor(id).pid;
    // As from a host with another boot and another machine id, on a network file system.
    let other = "boot_id=return(another);machine_id=return(another)";
    let there = |args: &[&str]| {
        let output = setup.program().args(args).env("FAILPOINTS", other).output().expect("the program runs");
        stdout(&output)
    };
    assert!(there(&["list", "--json"]).contains(r#""state":"running""#));
    kill_9(supervisor);
    wait_until("it is gone", || setup.home.processes().is_empty());
    assert!(there(&["list", "--json"]).contains(r#""state":"running""#), "its lock says nothing there");
    let left = there(&["recover"]);
    assert!(left.contains("not recovered") && left.contains("--assume-gone"), "{left}");
    assert!(there(&["list", "--json"]).contains(r#""state":"running""#));

    assert!(there(&["recover", "--assume-gone"]).contains("recovered"));
    let list = there(&["list", "--json"]);
    assert!(list.contains(r#""reason":"supervisor_died""#), "{list}");
}

/// On a local file system, another host name is still the same machine: it has rebooted.
#[test]
fn on_a_network_file_system_another_host_name_is_another_host() {
    let setup = Setup::new();
    let id = setup.launch("exec sleep MARK").id;
    setup.wait_for_marked(1);
    kill_9(setup.supervisor(id).pid);
    wait_until("it is gone", || setup.home.processes().is_empty());
    let seen = |failpoints: &str| {
        let mut list = setup.program();
        stdout(&list.args(["list", "--json"]).env("FAILPOINTS", failpoints).output().expect("runs"))
    };
    let network = seen("boot_id=return(another);host_name=return(another);network_file_system=return");
    assert!(network.contains(r#""state":"running""#), "{network}");
    let local = seen("boot_id=return(another);host_name=return(another)");
    assert!(local.contains(r#""reason":"reboot""#), "{local}");
}

#[test]
fn processes_of_another_user_are_ended_by_root_and_named_by_others() {
    if !is_root() {
        return skip("becoming another user needs root");
    }
    let setup = Setup::new();
    let script = "(setsid setpriv --reuid 12345 --clear-groups sleep MARK &) ; sleep MARK";
    let id = setup.launch(script).id;
    setup.wait_for_marked(2);
    kill_9(setup.supervisor(id).pid);
    let job = setup.recovered_end_of(id);
    assert!(matches!(outcome(&job), Outcome::Lost { .. }));
    let leftovers = &job.state.finished().expect("it has finished").leftovers;
    let named = |fate| leftovers.iter().filter(|leftover| leftover.fate == fate).count();
    assert_eq!(
        (named(LeftoverFate::Ended), named(LeftoverFate::Survived)),
        (leftovers.len(), 0),
        "{leftovers:#?}"
    );
    assert!(leftovers.iter().any(|leftover| leftover.name == "sleep"), "{leftovers:#?}");
    assert_eq!(setup.home.marked(), []);
    let again = setup.homing.recover(RecoverOptions::default()).expect("nothing is left to do");
    assert_eq!(again.recovered, []);
}

/// A container with the `/proc` of another pid namespace: its numbers are other processes, so nothing is searched.
#[test]
fn with_the_proc_of_another_namespace_nothing_is_signalled_and_doctor_reports_it() {
    let setup = Setup::new();
    let id = setup.launch("setsid sleep MARK & exec sleep MARK").id;
    setup.wait_for_marked(2);
    kill_9(setup.supervisor(id).pid);
    wait_until("its main process ended with it", || setup.home.marked().len() == 1);
    let foreign = |args: &[&str]| {
        let output = setup.program().args(args).env("FAILPOINTS", "foreign_proc=return").output();
        String::from_utf8(output.expect("the program runs").stdout).expect("text")
    };
    assert!(foreign(&["doctor"]).contains("another pid namespace"));
    let doctor = setup.program().arg("doctor").output().expect("the program runs");
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        doctor.contains("lost their supervisor") && !doctor.contains("another pid namespace"),
        "{doctor}"
    );
    foreign(&["recover"]);
    let job = setup.homing.get(id).expect("the job");
    assert_eq!(job.state.finished().expect("it has finished").recovery, Some(Recovery::NotSearched));
    assert_eq!(setup.home.marked().len(), 1);
    let job = setup.recovered_end_of(id);
    assert_eq!(job.state.finished().expect("it has finished").recovery, None);
    assert_eq!(setup.home.marked(), []);
}
