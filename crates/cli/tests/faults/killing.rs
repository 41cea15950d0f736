//! Kills of jobs whose supervisors cannot act, and kills of many jobs.

use std::process::{Command, Stdio};
use std::time::Duration;

use homing::core::LeftoverFate;
use homing::{JobId, KilledBy, LeftoverPolicy, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use testkit::{run_with_processor_time, skip, wait_until};

use crate::setup::{Setup, kill_9, outcome, stdout};

const KILLED: Outcome = Outcome::Killed { by: KilledBy::Operator };

/// Waits for [`let_go`]: a supervisor that is stopped at once does not answer its launcher.
const ONCE_LAUNCHED: &str = "until [ -e \"$HOMING_HOME/../go\" ]; do sleep 0.01; done;";

/// Lets jobs continue that wait until their launch has returned.
fn let_go(setup: &Setup) {
    std::fs::write(setup.scratch("go"), "").expect("a file");
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("it can be signalled");
}

/// The state of a process (proc_pid_stat(5)).
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[test]
fn a_supervisor_that_its_job_has_stopped_is_continued() {
    let setup = Setup::new();
    let id =
        setup.launch(&format!("{ONCE_LAUNCHED} kill -STOP $PPID; sleep MARK & setsid sleep MARK & wait")).id;
    let_go(&setup);
    setup.wait_for_marked(2);
    let supervisor = setup.supervisor(id).pid;
    wait_until("it is stopped", || state(supervisor) == Some('T'));

    let job = setup.homing.kill(id, KilledBy::Operator).expect("it can be ended");
    assert_eq!(outcome(&job), &KILLED);
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn a_supervisor_that_is_stopped_again_and_again_is_ended_with_its_job() {
    let setup = Setup::new();
    let script = format!("trap '' TERM; {ONCE_LAUNCHED} sleep MARK & while kill -STOP $PPID; do :; done");
    let id = setup.launch_spec(setup.script(&script).grace(Duration::from_millis(200))).id;
    let_go(&setup);
    setup.wait_for_marked(1);

    let mut kill = setup.program();
    kill.args(["kill", id.as_str()]).env("FAILPOINTS", "stopped_timeout=return(100)");
    kill.env("HOMING_SESSION", "another-session");
    assert!(stdout(&kill.output().expect("the program runs")).contains("killed by an operator"));
    assert_eq!(outcome(&setup.homing.get(id).expect("the job")), &KILLED);
    assert_eq!(setup.home.marked(), []);
}

/// Stops a supervisor with a tracer. SIGCONT does not continue it.
struct Traced(std::process::Child);

impl Traced {
    /// `None` where tracing is not possible.
    fn hold(supervisor: u32) -> Option<Traced> {
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-o", "/dev/null", "-p", &supervisor.to_string()]);
        let tracer = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut traced = Traced(tracer);
        let tracer = format!("TracerPid:\t{}", traced.0.id());
        let is_traced = || {
            let status = std::fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap_or_default();
            status.lines().any(|line| line == tracer)
        };
        while !is_traced() {
            if traced.0.try_wait().expect("it is a child of this process").is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        send(traced.0.id(), Signal::STOP);
        Some(traced)
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_traced_supervisor_is_ended_with_its_job_and_the_outcome_names_the_caller() {
    let setup = Setup::new();
    let id =
        setup.launch_spec(setup.script("sleep MARK & setsid sleep MARK & wait").grace(Duration::ZERO)).id;
    setup.wait_for_marked(2);
    let Some(_traced) = Traced::hold(setup.supervisor(id).pid) else {
        let _ = setup.homing.kill(id, KilledBy::Operator);
        return skip("processes cannot be traced here with strace");
    };
    let mut kill = setup.program();
    kill.args(["kill", id.as_str()]).env("FAILPOINTS", "stopped_timeout=return(300)");
    kill.env("HOMING_SESSION", "another-session");
    assert!(stdout(&kill.output().expect("the program runs")).contains("killed by an operator"));

    let job = setup.homing.get(id).expect("the job");
    assert_eq!(outcome(&job), &KILLED);
    assert_eq!(setup.home.marked(), []);
    let ended = &job.state.finished().expect("it has finished").leftovers;
    assert!(ended.iter().all(|leftover| leftover.fate == LeftoverFate::Ended), "{ended:#?}");
}

#[test]
fn kept_leftovers_are_ended_although_the_supervisor_is_traced() {
    let setup = Setup::new();
    let spec = setup.script("sleep MARK & exit 7").leftovers(LeftoverPolicy::Keep);
    let id = setup.launch_spec(spec.grace(Duration::ZERO)).id;
    setup.end_of(id);
    setup.wait_for_marked(1);
    let Some(_traced) = Traced::hold(setup.supervisor(id).pid) else {
        let _ = setup.homing.kill(id, KilledBy::Operator);
        return skip("processes cannot be traced here with strace");
    };
    let mut kill = setup.program();
    kill.args(["kill", id.as_str()]).env("FAILPOINTS", "stopped_timeout=return(300)");
    assert!(stdout(&kill.output().expect("the program runs")).contains("already finished: exit code 7"));
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn hundreds_of_jobs_are_killed_in_seconds() {
    let setup = Setup::new();
    let ids: Vec<JobId> = (0..300).map(|_| setup.launch("exec sleep MARK").id).collect();
    // Some supervisors exit meanwhile.
    ids.iter().step_by(50).for_each(|id| kill_9(setup.supervisor(*id).pid));
    let mut kill = setup.program();
    kill.arg("kill").args(ids.iter().map(JobId::as_str));
    let (output, took) = run_with_processor_time(&mut kill);
    assert_eq!(stdout(&output).lines().count(), ids.len());
    assert_eq!(setup.home.marked(), []);
    println!("killed {} jobs in {took:?} of processor time", ids.len());
    // With one sync per job, each of which observes all others, 200 jobs took 5 seconds in a release build.
    assert!(took < Duration::from_secs(4), "took {took:?}");
}
