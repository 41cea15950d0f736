//! A monitor that was started from inside a job survives that job, however the job ends.

use std::path::Path;
use std::time::Duration;

use homing::core::{Leftover, LeftoverFate};
use homing::{FollowUpState, JobId, JobSpec, KilledBy};
use testkit::{processes_where, wait_until};

use crate::monitors::write_config;
use crate::recorder::Recorder;
use crate::setup::{PROGRAM, Setup};

#[test]
fn a_monitor_started_by_a_job_survives_its_end() {
    survives("exit 0", None, false);
}

#[test]
fn a_monitor_started_by_a_job_survives_the_end_of_its_leftovers() {
    survives("(trap '' TERM; exec sleep MARK) & exit 0", None, false);
}

#[test]
fn a_monitor_started_by_a_job_survives_its_kill() {
    survives("sleep MARK", None, true);
}

/// Runs a job that launches another job, which starts a monitor, and then continues with `rest`. Ends it, and checks
/// that the monitor keeps running and delivers both results.
fn survives(rest: &str, group: Option<&Path>, is_killed: bool) {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    let config = write_config(&setup.home, &recorder, "60s");
    let go = setup.home.scratch().join("go");
    let inner = format!("until [ -e {} ]; do sleep 0.01; done", go.display());
    let script =
        format!("{PROGRAM} run --session inner '{inner}'; {rest}").replace("MARK", setup.home.mark());
    let mut spec = JobSpec::script(script)
        .expect("a script")
        .session("outer".parse().expect("a session"))
        .grace(Duration::ZERO)
        .env("HOMING_HOME", setup.home.path().to_string_lossy())
        .env("HOMING_CONFIG", config.to_string_lossy());
    if let Some(group) = group {
        spec = spec.env("HOMING_CGROUP", group.to_string_lossy());
    }
    let outer = setup.homing.launch(spec).expect("it is launched").id;
    let inner = inner_job(&setup, outer);
    let active = || setup.homing.active_monitor().expect("the lock can be read").filter(|pid| *pid > 0);
    wait_until("a monitor is active", || active().is_some());
    let monitor = active().expect("it was just there");
    if is_killed {
        setup.homing.kill(outer, KilledBy::Operator).expect("it ends");
    }
    setup.wait_for_end(&[outer]);
    wait_until("its supervisor is gone", || {
        let is_its = |line: &str| line.contains("__supervise") && line.contains(outer.as_str());
        processes_where(|process| is_its(&process.command_line)).is_empty()
    });
    assert_eq!(active(), Some(monitor), "the monitor lives on");
    let job = setup.job(outer);
    let leftovers = &job.state.finished().expect("it has finished").leftovers;
    let is_named = |left: &Leftover| match left.fate {
        LeftoverFate::Spared => left.name == "homing",
        LeftoverFate::Ended | LeftoverFate::Kept | LeftoverFate::Survived => left.name == "sleep",
    };
    assert!(leftovers.iter().all(is_named), "{leftovers:?}");
    setup.wait_for_acknowledged(&[outer]);
    assert_eq!(setup.state(inner), FollowUpState::Waiting);
    std::fs::write(go, "").expect("a file");
    setup.wait_for_acknowledged(&[inner]);
    let recorded: Vec<_> =
        recorder.recorded().into_iter().map(|recorded| (recorded.session, recorded.jobs)).collect();
    assert_eq!(recorded, [("outer".to_owned(), vec![outer]), ("inner".to_owned(), vec![inner])]);
    wait_until("the monitor has ended by itself", || active().is_none());
}

/// The job that the outer job launched, from the id that it printed.
fn inner_job(setup: &Setup, outer: JobId) -> JobId {
    let printed = || {
        let output = setup.homing.output(outer, 0, 100).expect("output").bytes;
        String::from_utf8(output).expect("an id").trim().parse::<JobId>().ok()
    };
    wait_until("the outer job has printed an id", || printed().is_some());
    printed().expect("it was just there")
}

#[test]
fn a_monitor_started_by_a_job_survives_the_end_of_its_control_group() {
    let Some(group) = testkit::DelegatedGroup::make() else {
        return testkit::skip("no control group (version 2) can be made here");
    };
    survives("(trap '' TERM; exec sleep MARK) & exit 0", Some(group.path()), false);
}
