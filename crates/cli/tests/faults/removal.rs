//! Job directories, or files in them, that are removed or renamed while the job runs.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homing::core::LostReason;
use homing::{FollowUpState, JobId, KilledBy, Outcome, Verdict};
use rustix::process::{Pid, Signal, kill_process};
use testkit::wait_until;

use crate::setup::{Setup, kill_9, open, outcome, stdout};

const REMOVED: Outcome = Outcome::Lost { reason: LostReason::Removed };

fn directory(setup: &Setup, id: JobId) -> PathBuf {
    setup.home.path().join("jobs").join(id.as_str())
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, signal).expect("the process can be signalled");
}

#[test]
fn a_running_job_whose_directory_is_removed_ends_with_its_supervisor() {
    let setup = Setup::new();
    let job = setup.launch("sleep MARK & setsid sleep MARK & wait");
    let other = setup.launch("exec sleep MARK");
    setup.wait_for_marked(3);
    // In the ledger as running, so that its removal is noticed.
    assert!(setup.homing.get(job.id).expect("it is there").outcome().is_none());

    fs::remove_dir_all(directory(&setup, job.id)).expect("it can be removed");

    setup.wait_for_marked(1);
    wait_until("its supervisor is gone", || {
        setup.home.processes().iter().all(|process| !process.command_line.contains(job.id.as_str()))
    });
    assert_eq!(outcome(&setup.end_of(job.id)), &REMOVED);
    assert!(setup.homing.get(other.id).expect("it is there").outcome().is_none(), "the other job runs on");
    setup.homing.kill(other.id, KilledBy::Operator).expect("it can be ended");
}

#[test]
fn kept_leftovers_end_when_the_directory_of_their_job_is_removed() {
    let setup = Setup::new();
    let spec = setup.script("sleep MARK & exit 0").leftovers(homing::LeftoverPolicy::Keep);
    let id = setup.launch_spec(spec).id;
    assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 0 });
    setup.wait_for_marked(1);

    fs::remove_dir_all(directory(&setup, id)).expect("it can be removed");

    setup.wait_for_marked(0);
}

#[test]
fn a_removed_lock_does_not_make_a_running_job_lost() {
    let setup = Setup::new();
    let job = setup.launch("exec sleep MARK");
    setup.wait_for_marked(1);
    let supervisor = setup.supervisor(job.id).pid;

    fs::remove_file(directory(&setup, job.id).join("lock")).expect("it can be removed");

    for _ in 0..20 {
        setup.homing.sync().expect("the home can be read");
        setup.homing.prune(Duration::ZERO).expect("finished jobs can be removed");
    }
    assert!(setup.homing.get(job.id).expect("it is there").outcome().is_none());
    assert_eq!((setup.home.marked().len(), setup.supervisor(job.id).pid), (1, supervisor));
    setup.homing.kill(job.id, KilledBy::Operator).expect("it can be ended");
    assert_eq!(outcome(&setup.end_of(job.id)), &Outcome::Killed { by: KilledBy::Operator });
}

#[test]
fn a_removed_lock_does_not_make_a_job_lost_while_its_supervisor_is_stopped() {
    let setup = Setup::new();
    let job = setup.launch("exec sleep MARK");
    setup.wait_for_marked(1);
    let supervisor = setup.supervisor(job.id).pid;
    signal(supervisor, Signal::STOP);

    fs::remove_file(directory(&setup, job.id).join("lock")).expect("it can be removed");

    for _ in 0..5 {
        setup.homing.sync().expect("the home can be read");
        assert_eq!(setup.homing.prune(Duration::ZERO).expect("it can be read").removed, []);
    }
    assert!(setup.homing.get(job.id).expect("it is there").outcome().is_none());
    assert_eq!((setup.home.marked().len(), setup.supervisor(job.id).pid), (1, supervisor));

    kill_9(supervisor);
    assert_eq!(outcome(&setup.end_of(job.id)), &Outcome::Lost { reason: LostReason::SupervisorDied });
}

#[test]
fn a_supervisor_whose_directory_was_renamed_is_reported_and_ended() {
    let setup = Setup::new();
    let job = setup.launch("sleep MARK & setsid sleep MARK & wait");
    let other = setup.launch("exec sleep MARK");
    setup.wait_for_marked(3);
    assert!(setup.homing.get(job.id).expect("it is there").outcome().is_none());
    let away = setup.scratch("away");
    fs::rename(directory(&setup, job.id), &away).expect("it can be renamed");

    let checks = setup.homing.doctor().expect("the home can be read");
    let check = checks.iter().find(|check| check.name == "supervisors").expect("it is checked");
    assert_eq!(check.verdict, Verdict::Problem);
    let pid = setup.supervisor(job.id).pid;
    assert!(check.detail.contains(job.id.as_str()) && check.detail.contains(&pid.to_string()), "{check:?}");
    assert!(check.detail.contains(&away.display().to_string()), "{check:?}");
    assert!(!check.detail.contains(other.id.as_str()), "{check:?}");

    setup.homing.kill(job.id, KilledBy::Operator).expect("it can be ended");
    assert_eq!(setup.home.marked().len(), 1, "the other job runs on");
    assert_eq!(outcome(&setup.end_of(job.id)), &REMOVED);
    setup.homing.kill(other.id, KilledBy::Operator).expect("it can be ended");
}

#[test]
fn recover_ends_and_names_jobs_that_run_without_their_directory() {
    let setup = Setup::new();
    let job = setup.launch("sleep MARK & setsid sleep MARK & wait");
    let unread = setup.launch("exec sleep MARK");
    setup.wait_for_marked(3);
    assert!(setup.homing.get(job.id).expect("it is there").outcome().is_none());
    signal(setup.supervisor(unread.id).pid, Signal::STOP);
    fs::rename(directory(&setup, job.id), setup.scratch("away")).expect("it can be renamed");
    fs::remove_dir_all(directory(&setup, unread.id)).expect("it can be removed");

    let recover = setup.program().arg("recover").output().expect("the program runs");

    let message = stdout(&recover);
    for id in [job.id, unread.id] {
        assert!(message.contains(&format!("{id}  killed: its directory ")), "{message}");
    }
    assert_eq!(setup.home.processes(), []);
    assert_eq!(outcome(&setup.end_of(job.id)), &REMOVED);
    assert_eq!(stdout(&setup.program().arg("recover").output().expect("it runs")), "nothing to recover");
}

#[test]
fn a_stopped_supervisor_without_a_directory_is_ended_with_its_job() {
    let setup = Setup::new();
    let spec = setup.script("trap '' TERM; sleep MARK & setsid sleep MARK & wait; wait");
    let job = setup.launch_spec(spec.grace(Duration::from_millis(50)));
    setup.wait_for_marked(2);
    assert!(setup.homing.get(job.id).expect("it is there").outcome().is_none());
    signal(setup.supervisor(job.id).pid, Signal::STOP);
    fs::remove_dir_all(directory(&setup, job.id)).expect("it can be removed");

    setup.homing.kill(job.id, KilledBy::Operator).expect("it can be ended");

    assert_eq!(setup.home.processes(), []);
}

#[test]
fn a_supervisor_without_a_directory_that_does_not_answer_is_killed_with_its_job() {
    let setup = Setup::new();
    let spec = setup.script("sleep MARK & setsid sleep MARK & (env -i setsid sleep MARK &); wait");
    let job = setup.launch_spec(spec.grace(Duration::from_millis(50)));
    setup.wait_for_marked(3);
    assert!(setup.homing.get(job.id).expect("it is there").outcome().is_none());
    // Stopped repeatedly, as by a debugger.
    let supervisor = setup.supervisor(job.id).pid;
    fs::rename(directory(&setup, job.id), setup.scratch("away")).expect("it can be renamed");

    let is_finished = AtomicBool::new(false);
    let killed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_finished.load(Ordering::Relaxed) {
                let pid = Pid::from_raw(i32::try_from(supervisor).expect("a pid")).expect("a pid");
                let _ = kill_process(pid, Signal::STOP);
            }
        });
        let mut kill = setup.program();
        kill.args(["kill", job.id.as_str()]).env("FAILPOINTS", "unlinked_timeout=return(300)");
        let killed = kill.output();
        is_finished.store(true, Ordering::Relaxed);
        killed.expect("the program runs")
    });
    assert!(killed.status.success(), "{killed:?}");
    assert_eq!(setup.home.processes(), []);
}

#[test]
fn a_running_job_does_not_wake_up_when_other_jobs_start_and_end() {
    let setup = Setup::new();
    let job = setup.launch("exec sleep MARK");
    setup.wait_for_marked(1);
    let supervisor = setup.supervisor(job.id).pid;
    let wake_ups = || {
        let status = fs::read_to_string(format!("/proc/{supervisor}/status")).expect("it lives");
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).map(str::to_owned)
    };
    // It is idle when it sleeps in its one poll(2).
    wait_until("it is at rest", || {
        let before = wake_ups();
        std::thread::sleep(Duration::from_millis(100));
        before == wake_ups()
    });
    let before = wake_ups();
    let ids: Vec<JobId> = (0..5).map(|_| setup.run("true").id).collect();
    setup.homing.acknowledge(&ids).expect("they can be acknowledged");
    assert_eq!(setup.homing.prune(Duration::ZERO).expect("they can be removed").removed.len(), 5);
    assert_eq!(before, wake_ups());
    setup.homing.kill(job.id, KilledBy::Operator).expect("it can be ended");
}

#[test]
fn a_new_home_at_the_old_path_does_not_end_a_supervisor_of_the_renamed_home() {
    let setup = Setup::new();
    let job = setup.launch("exec sleep MARK");
    setup.wait_for_marked(1);
    let renamed = setup.scratch("renamed");
    fs::rename(setup.home.path(), &renamed).expect("it can be renamed");

    let new = open(&setup.home, Duration::from_secs(10));
    let checks = new.doctor().expect("the home can be read");
    let check = checks.iter().find(|check| check.name == "supervisors").expect("it is checked");
    assert_eq!(check.verdict, Verdict::Ok, "{check:?}");
    drop(new.kill(job.id, KilledBy::Operator));
    assert_eq!(setup.home.marked().len(), 1, "it keeps running");

    fs::remove_dir_all(setup.home.path()).expect("it can be removed");
    fs::rename(&renamed, setup.home.path()).expect("it can be renamed back");
    setup.homing.kill(job.id, KilledBy::Operator).expect("it can be ended");
    assert_eq!(outcome(&setup.end_of(job.id)), &Outcome::Killed { by: KilledBy::Operator });
}

#[test]
fn a_job_whose_record_was_removed_is_reported_at_its_end() {
    let setup = Setup::new();
    let gate = setup.scratch("gate");
    let job = setup.launch(&format!("while ! [ -e {} ]; do sleep 0.01; done; exit 7", gate.display()));
    assert!(setup.homing.get(job.id).expect("it is there").outcome().is_none());

    fs::remove_file(directory(&setup, job.id).join("record")).expect("it can be removed");
    fs::write(gate, "").expect("the job may end");

    wait_until("its end is known", || {
        setup.homing.get(job.id).is_ok_and(|job| job.outcome() == Some(&Outcome::Exited { exit_code: 7 }))
    });
    let job = setup.homing.get(job.id).expect("it is there");
    assert!(job.state.finished().is_some_and(|finished| finished.started.is_some()), "{job:#?}");
    assert_eq!(job.follow_up.state, FollowUpState::Pending);
}

#[test]
fn prune_does_not_remove_a_job_whose_supervisor_still_serves_kept_leftovers() {
    let setup = Setup::new();
    let spec = setup.script("sleep MARK & exit 0").leftovers(homing::LeftoverPolicy::Keep);
    let id = setup.launch_spec(spec).id;
    setup.end_of(id);
    setup.homing.acknowledge(&[id]).expect("it can be acknowledged");

    fs::remove_file(directory(&setup, id).join("lock")).expect("it can be removed");

    let pruned = setup.homing.prune(Duration::ZERO).expect("finished jobs can be removed");
    assert_eq!((pruned.removed, pruned.kept_running), (vec![], vec![id]));
    setup.homing.kill(id, KilledBy::Operator).expect("what it kept can be ended");
}
