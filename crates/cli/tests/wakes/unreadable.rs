//! The monitor retries jobs that it cannot read, shows jobs that stay unreadable, and works and exits nevertheless.

use std::fs;

use homing::{FollowUpState, JobId};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use testkit::{TempHome, wait_until};

use crate::monitors::{MonitorProcess, program, write_config};
use crate::recorder::Recorder;
use crate::setup::Setup;

/// Sets the descriptor limit of a process.
fn limit_descriptors(pid: u32, current: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    let maximum = getrlimit(Resource::Nofile).maximum;
    prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum }).expect("its limit can be set");
}

/// The open descriptors of a process.
fn descriptors(pid: u32) -> Vec<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    let numbers = entries.map(|entry| {
        entry.expect("an entry").file_name().to_str().expect("a number").parse().expect("a number")
    });
    let mut open: Vec<u64> = numbers.collect();
    open.sort_unstable();
    open
}

/// The lowest limit that leaves an idle process `spare` more descriptors.
fn limit_that_leaves(pid: u32, spare: usize) -> u64 {
    let (mut open, mut same) = (descriptors(pid), 0);
    wait_until("it has nothing open for a moment only", || {
        let now = descriptors(pid);
        same = if now == open { same + 1 } else { 0 };
        open = now;
        same == 100
    });
    (0..).filter(|number| !open.contains(number)).nth(spare).expect("there is always a greater number")
}

#[test]
fn jobs_that_end_while_the_monitor_has_no_descriptors_are_all_delivered() {
    without_descriptors(0);
}

#[test]
fn jobs_that_end_while_the_monitor_can_only_list_the_inbox_are_all_delivered() {
    without_descriptors(1);
}

/// Twenty jobs end while a monitor has only `spare` free descriptors.
fn without_descriptors(spare: usize) {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, "60s");
    // The check whether a job has started runs early, so that it does not find missed changes.
    let monitor = MonitorProcess::start(&setup.home, "monitor/start_check=return(1)");
    let before = setup.launch("before", "true");
    recorder.wait_for(1);
    setup.wait_for_state(before, FollowUpState::Acknowledged);
    let mut held = setup.hold();
    for n in 0..20 {
        held.launch(&format!("chat-{n}"), "true");
    }
    // From here on no other process imports jobs: what the monitor misses stays missed.
    limit_descriptors(monitor.pid(), Some(limit_that_leaves(monitor.pid(), spare)));
    let ids = held.release();
    wait_until("the supervisors are gone", || {
        let supervisors = setup.home.processes();
        !supervisors.iter().any(|process| process.command_line.contains("__supervise"))
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(recorder.count(), 1, "no result can have been delivered: {}", monitor.log());
    limit_descriptors(monitor.pid(), getrlimit(Resource::Nofile).current);
    let mut recorded: Vec<JobId> =
        recorder.wait_for(21).into_iter().flat_map(|recorded| recorded.jobs).collect();
    let mut expected: Vec<JobId> = ids.into_iter().chain([before]).collect();
    recorded.sort();
    expected.sort();
    assert_eq!(recorded, expected);
    monitor.kill_9();
}

/// Launches a job through the command line, which starts an on-demand monitor.
fn run(home: &TempHome, script: &str) -> JobId {
    let output = program(home).args(["run", "--session", "chat", script]).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("an id");
    text.trim().parse().unwrap_or_else(|_| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)))
}

fn wait_until_no_monitor(setup: &Setup) {
    let log = || fs::read_to_string(setup.home.path().join("monitor.log")).unwrap_or_default();
    wait_until("the monitor has ended by itself", || {
        setup.homing.active_monitor().expect("the lock").is_none()
    });
    assert!(!log().contains("panicked"), "{}", log());
}

#[test]
fn a_foreign_file_that_cannot_be_moved_does_not_stop_the_monitor() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, "60s");
    // A file in place of the directory prevents moves.
    fs::write(setup.home.path().join("set-aside"), "").expect("a file");
    fs::create_dir_all(setup.home.path().join("inbox/folder/with")).expect("a directory");
    fs::write(setup.home.path().join("inbox/notes.txt"), "mine").expect("a file");
    run(&setup.home, "true");
    recorder.wait_for(1);
    wait_until_no_monitor(&setup);
    let log = fs::read_to_string(setup.home.path().join("monitor.log")).expect("a log");
    assert_eq!(log.matches("warning: ").count(), 1, "{log}");
    assert!(log.contains("/set-aside: Not a directory"), "{log}");
}

#[test]
fn an_unreadable_job_is_shown_and_does_not_keep_a_monitor_running() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, "60s");
    let broken = "0123456789ab";
    let directory = setup.home.path().join("jobs").join(broken);
    fs::create_dir(&directory).expect("a directory");
    fs::write(directory.join("spec.json"), "{").expect("a spec");
    fs::write(setup.home.path().join("inbox").join(broken), "").expect("an entry");
    let id = run(&setup.home, "true");
    recorder.wait_for(1);
    wait_until_no_monitor(&setup);
    setup.wait_for_state(id, FollowUpState::Acknowledged);
    let named = format!("job {broken} cannot be read: ");
    for arguments in [&["list"][..], &["follow-ups"], &["show", broken]] {
        let output = program(&setup.home).args(arguments).output().expect("it runs");
        let text = String::from_utf8(output.stderr).expect("text");
        assert!(text.contains(&named), "{arguments:?}: {text}");
    }
    let doctor = program(&setup.home).arg("doctor").output().expect("it runs");
    let text = String::from_utf8(doctor.stdout).expect("text");
    assert!(text.contains(broken) && text.contains("spec.json"), "{text}");
    let log = fs::read_to_string(setup.home.path().join("monitor.log")).expect("a log");
    assert_eq!(log.matches(&named).count(), 1, "{log}");
}

#[test]
fn an_on_demand_monitor_waits_for_an_unusable_ledger() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, "60s");
    let go = setup.home.scratch().join("go");
    let id = run(&setup.home, &format!("until [ -e {} ]; do sleep 0.01; done", go.display()));
    setup.wait_for_state(id, FollowUpState::Waiting);
    let (ledger, away) = (setup.home.path().join("ledger.db"), setup.home.path().join("away.db"));
    fs::create_dir(&away).expect("a directory");
    // Rename it in one step: a monitor that finds no ledger creates one.
    let exchange =
        || renameat_with(CWD, &ledger, CWD, &away, RenameFlags::EXCHANGE).expect("they change places");
    exchange();
    fs::write(go, "").expect("a file");
    let log = || fs::read_to_string(setup.home.path().join("monitor.log")).expect("a log");
    wait_until("it has failed six times", || log().matches("warning: ").count() >= 6);
    exchange();
    let recorded = recorder.wait_for(1);
    assert_eq!(recorded[0].jobs, [id], "{}", log());
    wait_until_no_monitor(&setup);
}

#[test]
fn a_standby_monitor_asks_for_the_lock_again_after_an_error() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, "60s");
    let active = MonitorProcess::start(&setup.home, "");
    wait_until("it is active", || setup.homing.active_monitor().expect("the lock").is_some());
    let standby = MonitorProcess::start(&setup.home, "monitor/lock_error=1*return(1)->off");
    wait_until("the error is reported", || standby.log().contains("monitor.lock: No locks available"));
    active.kill_9();
    let id = setup.launch("chat", "true");
    assert_eq!(recorder.wait_for(1)[0].jobs, [id]);
    standby.kill_9();
}
