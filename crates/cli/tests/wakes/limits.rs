//! An active monitor enforces the timeout of a job whose supervisor is stopped or traced, and does not disturb
//! working supervisors.

use std::time::Duration;

use homing::core::Outcome;
use homing::{JobId, JobSpec, Timeout};
use rustix::process::{Pid, Signal, kill_process};
use testkit::wait_until;

use crate::monitors::{MonitorProcess, write_config};
use crate::recorder::Recorder;
use crate::setup::Setup;

fn launch(setup: &Setup, limit: Duration) -> JobId {
    let script = format!("trap '' TERM; sleep {}", setup.home.mark());
    let spec = JobSpec::script(script).expect("a script").session("chat".parse().expect("a session"));
    let spec = spec.timeout(Timeout::After(limit)).grace(Duration::ZERO);
    setup.homing.launch(spec).expect("it is launched").id
}

fn supervisor_of(setup: &Setup, job: JobId) -> Pid {
    let is_its = |line: &str| line.contains("__supervise") && line.contains(job.as_str());
    let supervisor = setup.home.processes().into_iter().find(|process| is_its(&process.command_line));
    let pid = supervisor.expect("it has a supervisor").pid;
    Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid")
}

#[test]
fn the_monitor_enforces_the_timeout_of_a_job_whose_supervisor_is_stopped() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, "60s");
    let monitor = MonitorProcess::start(&setup.home, "limit_margin=return(200)");
    wait_until("it is active", || setup.homing.active_monitor().expect("the lock").is_some());
    let stopped = launch(&setup, Duration::from_secs(1));
    let working = launch(&setup, Duration::from_secs(3_600));
    kill_process(supervisor_of(&setup, stopped), Signal::STOP).expect("it can be stopped");
    // No other process checks the jobs meanwhile.
    let recorded = recorder.wait_for(1);
    assert_eq!(recorded[0].jobs, [stopped]);
    assert_eq!(setup.job(stopped).outcome(), Some(&Outcome::TimedOut));
    assert!(setup.job(working).outcome().is_none());
    assert_eq!(
        setup.home.marked().iter().filter(|process| process.command_line.starts_with("sleep")).count(),
        1
    );
    let warning = "exceeded its timeout while its supervisor is stopped or traced; the monitor ended it";
    assert_eq!(monitor.log().matches(warning).count(), 1, "{}", monitor.log());
    setup.homing.kill(working, homing::KilledBy::Operator).expect("it ends");
    monitor.kill_9();
}
