//! Errors of the Python module that homing replaces: ends that no process observed, and signals that were reported as
//! exit codes. The other files have the tests of its other errors.

use homing::core::Signal;
use homing::{Outcome, Timeout};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use testkit::wait_until;

use crate::setup::{Setup, outcome, stdout};

#[test]
fn the_end_is_reported_correctly_however_late_it_is_read() {
    let setup = Setup::new();
    let id = setup.launch("true").id;
    // Checked without homing: no front end has observed the job yet.
    wait_until("its supervisor is gone", || setup.home.processes().is_empty());
    let gone_at = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    // An end that is recorded only when it is read would be recorded later than this.
    wait_until("the clock advances", || {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() > gone_at + 20
    });
    let job = setup.homing.get(id).expect("the job");
    let ended_at = job.state.finished().expect("it has finished").ended_at.as_unix_millis();
    assert!(u128::try_from(ended_at).expect("after 1970") <= gone_at, "{ended_at} is after {gone_at}");
}

#[test]
fn a_timeout_is_enforced_without_a_reader() {
    let setup = Setup::new();
    let script = format!("trap '' TERM; sleep {0}; sleep {0}", setup.home.mark());
    let run = setup.program().args(["run", "--timeout", "300ms", "--grace", "100ms", &script]).output();
    let id = stdout(&run.expect("the program runs")).parse().expect("an id");
    wait_until("everything is gone", || setup.home.processes().is_empty());
    assert_eq!(outcome(&setup.homing.get(id).expect("the job")), &Outcome::TimedOut);
}

#[test]
fn a_signal_is_reported_as_a_signal_and_not_as_an_exit_code() {
    let setup = Setup::new();
    for (name, number) in [("SEGV", 11), ("KILL", 9), ("USR1", 10)] {
        let job = setup.run(&format!("kill -{name} $$"));
        assert_eq!(outcome(&job), &Outcome::Signaled { signal: Signal::from_number(number) });
    }
    // A shell that reports the signal of its child as its own exit code has exited.
    assert_eq!(outcome(&setup.run("bash -c 'kill -SEGV $$'; exit $?")), &Outcome::Exited { exit_code: 139 });
}

#[test]
fn a_job_without_a_limit_has_none() {
    let setup = Setup::new();
    let job = setup.launch_spec(setup.script("exec sleep MARK").timeout(Timeout::None));
    assert_eq!((job.limits.timeout, job.ends_by()), (None, None));
    let ended = setup.homing.kill(job.id, homing::KilledBy::Operator).expect("it ends");
    let duration = ended.state.finished().expect("it has finished").duration;
    assert!(duration.is_some_and(|duration| duration < Duration::from_secs(3600)));
}
