//! Jobs that resist their end: whatever they do, no process of them is left.

use std::process::Command;
use std::time::{Duration, Instant};

use homing::core::LeftoverFate;
use homing::{KilledBy, LeftoverPolicy, Outcome, Timeout};
use testkit::{skip, wait_until};

use crate::setup::{Setup, outcome};

const LIMIT: Timeout = Timeout::After(Duration::from_millis(300));

#[test]
fn the_timeout_ends_a_job_that_was_stopped() {
    let setup = Setup::new();
    let spec = setup.script("kill -STOP $$; sleep MARK").timeout(LIMIT);
    let job = setup.end_of(setup.launch_spec(spec).id);
    assert_eq!(outcome(&job), &Outcome::TimedOut);
}

#[test]
fn leftovers_are_ended_and_named() {
    let setup = Setup::new();
    let job = setup.run("sleep MARK & exit 5");
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 5 });
    let finished = job.state.finished().expect("it has finished");
    let named: Vec<_> = finished.leftovers.iter().map(|left| (left.name.as_str(), left.fate)).collect();
    assert_eq!(named, [("sleep", LeftoverFate::Ended)]);
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn leftovers_are_kept_on_request_and_can_keep_writing() {
    let setup = Setup::new();
    let go_on = setup.scratch("go-on");
    let script = format!(
        "(until [ -e {} ]; do sleep 0.01; done; echo late; exec sleep MARK) & exit 0",
        go_on.display()
    );
    let id = setup.launch_spec(setup.script(&script).leftovers(LeftoverPolicy::Keep)).id;
    let job = setup.end_of(id);
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 0 });
    let fates: Vec<_> =
        job.state.finished().expect("finished").leftovers.iter().map(|left| left.fate).collect();
    assert!(!fates.is_empty() && fates.iter().all(|fate| *fate == LeftoverFate::Kept), "{fates:?}");

    std::fs::write(go_on, "").expect("a file");
    setup.wait_for_marked(1);
    wait_until("its late output is there", || {
        setup.homing.output(id, 0, 100).expect("output").bytes == b"late\n"
    });
    setup.homing.kill(id, KilledBy::Operator).expect("what was kept can still be ended");
    assert_eq!(setup.home.processes(), []);
    assert_eq!(outcome(&setup.homing.get(id).expect("the job")), &Outcome::Exited { exit_code: 0 });
}

/// Four ways to leave the tree: another session, a double fork, an empty environment, and all three.
pub(crate) const ESCAPES: &str = "setsid sleep MARK & (sleep MARK &) ; env -i setsid sleep MARK & \
                       (setsid bash -c '(env -i setsid sleep MARK > /dev/null 2>&1 &)' &) ;";

#[test]
fn escaped_processes_are_gone_at_the_timeout() {
    // On a busy machine, it takes longer until all five run. The timeout was then too short for this test.
    let shown = [2, 10, 60].into_iter().any(|limit| {
        let setup = Setup::new();
        let spec = setup
            .script(&format!("{ESCAPES} sleep MARK"))
            .timeout(Timeout::After(Duration::from_secs(limit)));
        let id = setup.launch_spec(spec).id;
        let mut most = 0;
        wait_until("all five run, or the limit is reached", || {
            most = most.max(setup.home.marked().len());
            most == 5 || setup.homing.get(id).expect("the job").outcome().is_some()
        });
        assert_eq!(outcome(&setup.end_of(id)), &Outcome::TimedOut);
        assert_eq!(setup.home.marked(), []);
        most == 5
    });
    assert!(shown, "five processes did not start within a minute");
}

#[test]
fn escaped_processes_are_gone_when_the_job_is_killed() {
    let setup = Setup::new();
    let id = setup.launch(&format!("{ESCAPES} sleep MARK")).id;
    setup.wait_for_marked(5);
    let job = setup.homing.kill(id, KilledBy::Session).expect("it ends");
    assert_eq!(outcome(&job), &Outcome::Killed { by: KilledBy::Session });
    assert_eq!(job.follow_up.state, homing::FollowUpState::Suppressed);
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn escaped_processes_are_gone_when_the_job_ends() {
    let setup = Setup::new();
    let job = setup.run(&format!("{ESCAPES} sleep 0.1"));
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 0 });
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn a_job_that_ignores_sigterm_is_killed_after_the_grace() {
    let setup = Setup::new();
    let script = setup.script("trap '' TERM; sleep MARK; sleep MARK").timeout(LIMIT);
    let job = setup.end_of(setup.launch_spec(script.grace(Duration::from_millis(200))).id);
    assert_eq!(outcome(&job), &Outcome::TimedOut);
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn an_orphan_that_appears_while_the_tree_is_ended_gets_sigterm_too() {
    let setup = Setup::new();
    let ready = setup.scratch("ready");
    let script =
        format!("trap 'sleep MARK & exit 1' TERM; echo > {}; while :; do sleep 0.01; done", ready.display());
    let grace = Duration::from_secs(120);
    let id = setup.launch_spec(setup.script(&script).grace(grace)).id;
    wait_until("the trap is set", || ready.exists());
    let started = Instant::now();
    let job = setup.homing.kill(id, KilledBy::Operator).expect("it can be ended");
    assert!(started.elapsed() < grace, "it was killed only after the grace period");
    assert_eq!(outcome(&job), &Outcome::Killed { by: KilledBy::Operator });
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn a_job_that_exits_0_during_the_grace_has_still_timed_out() {
    let setup = Setup::new();
    let script = setup.script("trap 'exit 0' TERM; sleep MARK & wait").timeout(LIMIT);
    let job = setup.end_of(setup.launch_spec(script).id);
    assert_eq!(outcome(&job), &Outcome::TimedOut);
}

/// A process that forks repeatedly, exits and continues in the child: each process lives for less time than a scan of
/// `/proc` takes. `MARK` is in its arguments.
const FORK_CHAIN: &str = r#"exec perl -e 'use POSIX; $SIG{TERM} = "IGNORE"; $| = 1; print "chain\n";
    for (1 .. 200000) { POSIX::setsid() if $ARGV[1]; my $pid = fork; exit 0 if $pid; }' MARK"#;

#[test]
fn a_fork_chain_is_ended_and_other_processes_are_not() {
    if Command::new("perl").arg("-e1").output().is_err() {
        return skip("there is no perl to make a fork chain with");
    }
    for new_sessions in ["", " 1"] {
        let setup = Setup::new();
        let unrelated = setup.launch("exec sleep MARK");
        let id =
            setup.launch_spec(setup.script(&format!("{FORK_CHAIN}{new_sessions}")).grace(Duration::ZERO)).id;
        wait_until("the chain runs", || setup.homing.output_end(id).expect("output") > 0);
        let job = setup.homing.kill(id, KilledBy::Operator).expect("it ends in bounded time");
        // The first process has exited; the chain are its descendants.
        assert!(
            matches!(outcome(&job), Outcome::Exited { exit_code: 0 } | Outcome::Killed { .. }),
            "{job:#?}"
        );
        assert_eq!(setup.home.marked().len(), 1, "only the unrelated process lives");
        setup.homing.kill(unrelated.id, KilledBy::Operator).expect("it ends");
    }
}

#[test]
fn jobs_launched_by_a_job_survive_it() {
    let setup = Setup::new();
    let inner = format!("{} run 'exec sleep {}'", crate::setup::PROGRAM, setup.home.mark());
    let spec = setup.script(&inner).env("HOMING_HOME", setup.home.path().to_string_lossy());
    let outer = setup.end_of(setup.launch_spec(spec).id);
    assert_eq!(outcome(&outer), &Outcome::Exited { exit_code: 0 });
    let spared: Vec<(&str, LeftoverFate)> = outer
        .state
        .finished()
        .expect("finished")
        .leftovers
        .iter()
        .map(|leftover| (leftover.name.as_str(), leftover.fate))
        .collect();
    assert_eq!(spared, [("homing", LeftoverFate::Spared)], "the inner supervisor is named");
    let id = String::from_utf8(setup.homing.output(outer.id, 0, 100).expect("output").bytes).expect("an id");
    let inner = setup.homing.get(id.trim().parse().expect("an id")).expect("the inner job");
    assert!(inner.state.started().is_some() && inner.state.finished().is_none(), "{inner:#?}");
    assert_eq!(setup.home.marked().len(), 1);
    setup.homing.kill(inner.id, KilledBy::Operator).expect("it ends");
}

#[test]
fn a_process_that_only_looks_like_a_supervisor_is_ended() {
    let setup = Setup::new();
    std::fs::write(setup.scratch("__supervise"), format!("sleep {}; :", setup.home.mark()))
        .expect("a script");
    // Its arguments are those of a supervisor, and they name a real job directory.
    let impostor = "(sh __supervise \"$HOMING_HOME/jobs/$HOMING_JOB\" &)";
    let id = setup.launch(&format!("cd {}; {impostor}; sleep MARK", setup.scratch("").display())).id;
    setup.wait_for_marked(2);
    setup.homing.kill(id, KilledBy::Operator).expect("it ends");
    assert_eq!(setup.home.processes(), []);
}

/// The main thread ends by pthread_exit(3) while another one runs: the kernel then shows a zombie.
const HEADLESS: &str = "
import ctypes, os, subprocess, threading, time
def work():
    child = subprocess.Popen(['sleep', 'MARK'])
    open('headless.pid', 'w').write(str(os.getpid()))
    child.wait()
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
";

#[test]
fn a_process_whose_first_thread_has_ended_is_ended_with_its_job() {
    let setup = Setup::new();
    std::fs::write(setup.scratch("headless.py"), HEADLESS.replace("MARK", setup.home.mark()))
        .expect("a script");
    let directory = setup.scratch("");
    let id =
        setup.launch(&format!("cd {}; (setsid python3 headless.py &); sleep MARK", directory.display())).id;
    setup.wait_for_marked(2);
    let stat = || {
        let pid = std::fs::read_to_string(setup.scratch("headless.pid")).unwrap_or_default();
        std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default()
    };
    wait_until("its first thread has ended", || stat().contains(") Z "));
    setup.homing.kill(id, KilledBy::Operator).expect("it ends");
    assert_eq!((setup.home.processes(), stat().as_str()), (Vec::new(), ""));
}

#[test]
fn recovery_finds_a_process_whose_first_thread_has_ended() {
    let setup = Setup::new();
    std::fs::write(setup.scratch("headless.py"), HEADLESS.replace("MARK", setup.home.mark()))
        .expect("a script");
    let id = setup.launch(&format!("cd {}; setsid python3 headless.py", setup.scratch("").display())).id;
    setup.wait_for_marked(1);
    let stat = || {
        let pid = std::fs::read_to_string(setup.scratch("headless.pid")).unwrap_or_default();
        std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default()
    };
    wait_until("its first thread has ended", || stat().contains(") Z "));
    crate::setup::kill_9(setup.supervisor(id).pid);
    let job = setup.recovered_end_of(id);
    assert!(matches!(outcome(&job), Outcome::Lost { .. }));
    assert_eq!(setup.home.processes(), []);
    // Its new parent may reap it at any time.
    wait_until("it is gone", || stat().is_empty());
}
