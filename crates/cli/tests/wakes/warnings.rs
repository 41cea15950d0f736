//! Failures of monitors, supervisors and ledgers.

use std::time::Duration;

use homing::{FollowUpState, LeftoverPolicy, MonitorEnd, MonitorUntil, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use testkit::wait_until;

use crate::setup::{Answer, Setup, open, quick};

#[test]
fn a_panic_of_a_sink_is_a_failed_attempt() {
    let setup = Setup::new();
    setup.sink.answers("chat", [Answer::Panics]);
    let monitor = setup.monitor();
    let id = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[id]);
    assert_eq!(setup.sink.received().len(), 2);
    let wakes = setup.homing.wakes_of(id).expect("wakes");
    assert_eq!(wakes[0].attempts[0].error.as_deref(), Some("the sink panicked"));
    monitor.stop();
}

#[test]
fn of_two_monitors_one_is_active_and_the_other_takes_over() {
    let setup = Setup::new();
    let first = setup.monitor();
    wait_until("the first is active", || setup.homing.active_monitor().expect("the lock").is_some());
    let second = setup.monitor();
    // A monitor that does not stand by leaves the work to the active one.
    let third = setup.start(setup.options().until(MonitorUntil::NothingDue));
    assert_eq!(third.end(), MonitorEnd::LeftToAnother);
    assert_eq!(first.stop(), MonitorEnd::Stopped);
    let id = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[id]);
    assert_eq!(setup.sink.received().len(), 1);
    assert_eq!(second.stop(), MonitorEnd::Stopped);
}

#[test]
fn a_standby_monitor_can_be_stopped() {
    let setup = Setup::new();
    let first = setup.monitor();
    wait_until("the first is active", || setup.homing.active_monitor().expect("the lock").is_some());
    let second = setup.monitor();
    assert_eq!(second.stop(), MonitorEnd::Stopped);
    assert_eq!(first.stop(), MonitorEnd::Stopped);
    // The standby monitor does not take over any more.
    wait_until("the lock is free", || setup.homing.active_monitor().expect("the lock").is_none());
}

#[test]
fn the_death_of_a_supervisor_is_noticed_and_delivered() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let id = setup.launch("chat", "sleep MARK");
    let supervisors = setup.home.processes();
    let supervisor = supervisors
        .iter()
        .find(|process| process.command_line.contains("__supervise"))
        .expect("it has a supervisor");
    let pid = Pid::from_raw(i32::try_from(supervisor.pid).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it can be killed");
    // `received` does not read the ledger, so only the monitor can notice it.
    let received = setup.sink.wait_for(1);
    assert!(received[0].text.contains("unknown result"), "{received:#?}");
    assert!(matches!(setup.job(id).outcome(), Some(Outcome::Lost { .. })));
    setup.wait_for_acknowledged(&[id]);
    monitor.stop();
}

#[test]
fn a_job_with_kept_leftovers_is_delivered_when_its_main_process_ends() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let script = format!("sleep {} & echo started", setup.home.mark());
    let spec = homing::JobSpec::script(script)
        .expect("a script")
        .session("chat".parse().expect("a session"))
        .leftovers(LeftoverPolicy::Keep);
    let id = setup.homing.launch(spec).expect("it is launched").id;
    let received = setup.sink.wait_for(1);
    assert!(received[0].text.contains("still running"), "{received:#?}");
    setup.homing.kill(id, homing::KilledBy::Operator).expect("what it kept can be ended");
    monitor.stop();
}

#[test]
fn a_monitor_that_stops_finishes_the_wake_in_flight() {
    let setup = Setup::new();
    setup.sink.answers("chat", [Answer::AtTheGate]);
    let monitor = setup.monitor();
    let id = setup.launch("chat", "true");
    setup.sink.wait_for(1);
    monitor.handle.stop();
    let late = setup.launch("late", "true");
    setup.wait_for_end(&[late]);
    setup.sink.open_the_gate();
    assert_eq!(monitor.end(), MonitorEnd::Stopped);
    assert_eq!(setup.state(id), FollowUpState::Acknowledged);
    assert_eq!(setup.state(late), FollowUpState::Pending, "no new attempt starts");
    setup.deliver_once();
    assert_eq!(setup.state(late), FollowUpState::Acknowledged);
}

#[test]
fn a_monitor_that_reaches_its_stop_timeout_gives_the_wake_back() {
    let setup = Setup::new();
    setup.sink.answers("chat", [Answer::AtTheGate]);
    let monitor = setup.start(setup.options().stop_timeout(Duration::ZERO));
    let id = setup.launch("chat", "true");
    setup.sink.wait_for(1);
    assert_eq!(monitor.stop(), MonitorEnd::Stopped);
    assert_eq!(setup.state(id), FollowUpState::Pending);
    setup.deliver_once();
    let received = setup.sink.received();
    assert_eq!((received.len(), received[0].wake), (2, received[1].wake));
    assert_eq!(setup.state(id), FollowUpState::Acknowledged);
    let wakes = setup.homing.wakes_of(id).expect("wakes");
    assert_eq!(wakes[0].attempts[0].result.as_deref(), Some("answer_lost"));
    setup.sink.open_the_gate();
}

#[test]
fn a_ledger_that_is_lost_under_a_monitor_is_rebuilt_and_everything_delivered() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let before = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[before]);
    // Remove the ledger itself last: from then on a new one may take its place.
    for name in ["ledger.db-wal", "ledger.db-shm", "ledger.db"] {
        let _ = std::fs::remove_file(setup.home.path().join(name));
    }
    let after = setup.launch("other", "true");
    setup.wait_for_acknowledged(&[before, after]);
    monitor.stop();
}

#[test]
fn a_ledger_that_is_locked_for_a_while_delays_and_loses_nothing() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let first = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[first]);
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("it opens");
    ledger.execute_batch("BEGIN IMMEDIATE").expect("it can be locked");
    let ids: Vec<_> = (0..5).map(|n| setup.launch(&format!("chat-{n}"), "true")).collect();
    ledger.execute_batch("COMMIT").expect("it can be let go of");
    setup.wait_for_acknowledged(&ids);
    monitor.stop();
}

#[test]
fn a_home_is_watched_by_monitors_of_different_processes_one_after_the_other() {
    let setup = Setup::new();
    let other = std::sync::Arc::new(open(&setup.home, quick()));
    for round in 0..5 {
        let homing = if round % 2 == 0 { &setup.homing } else { &other };
        let monitor = homing.monitor(setup.options()).expect("a monitor");
        let handle = monitor.handle();
        let thread = std::thread::spawn(|| monitor.run());
        let id = setup.launch("chat", "true");
        setup.wait_for_acknowledged(&[id]);
        handle.stop();
        thread.join().expect("no panic").expect("it works");
    }
    assert_eq!(setup.sink.received().len(), 5);
}

#[test]
fn a_monitor_sleeps_while_jobs_run_and_other_processes_list_them() {
    let setup = Setup::new();
    let mut monitor = std::process::Command::new(crate::setup::PROGRAM)
        .args(["monitor", "--command", "true"])
        .env("HOMING_HOME", setup.home.path())
        .env("HOMING_CONFIG", "/dev/null")
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the monitor starts");
    let ids = [setup.launch("chat", "sleep MARK"), setup.launch("chat", "sleep MARK")];
    let delivered = setup.launch("other", "true");
    setup.wait_for_acknowledged(&[delivered]);
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", monitor.id())).expect("it lives");
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).expect("a count");
        line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number")
    };
    // It sleeps after it has checked the new jobs twice.
    let mut before = switches();
    wait_until("it sleeps", || {
        std::thread::sleep(Duration::from_millis(400));
        let now = switches();
        std::mem::replace(&mut before, now) == now
    });
    // A job that was observed while it started is checked once more later. That may happen in one round.
    let slept_through = (0..5).any(|_| {
        let before = switches();
        for _ in 0..20 {
            setup.homing.list(&Default::default()).expect("a list");
        }
        std::thread::sleep(Duration::from_millis(50));
        switches() == before
    });
    assert!(slept_through, "listing jobs must not wake the monitor");
    for id in ids {
        setup.homing.kill(id, homing::KilledBy::Session).expect("it can be killed");
    }
    let pid = Pid::from_raw(i32::try_from(monitor.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::TERM).expect("it can be asked to end");
    assert!(monitor.wait().expect("it ends").success());
}
