//! Delivery from inside a session: a hook claims wakes while the monitor tries to deliver them too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use homing::{Claimant, Delivery, FollowUpState, JobId, WakeState};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use testkit::wait_until;

use crate::setup::{Answer, Setup};

fn claimant(session: &str) -> Claimant {
    Claimant { session: session.parse().expect("a session"), harness: Some("claude-code".to_owned()) }
}

/// How often hooks and the monitor compete.
const ROUNDS: usize = 150;

#[test]
fn hooks_and_monitor_deliver_every_job_once() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let delivered: Arc<Mutex<HashMap<JobId, usize>>> = Arc::default();
    let finished = Arc::new(AtomicBool::new(false));
    let hooks: Vec<_> = (0..2)
        .map(|_| {
            let (homing, delivered, finished) =
                (setup.homing.clone(), Arc::clone(&delivered), Arc::clone(&finished));
            std::thread::spawn(move || {
                while !finished.load(Ordering::Relaxed) {
                    let Some(wake) = homing.claim_wake(&claimant("chat")).expect("the ledger") else {
                        continue;
                    };
                    let mut delivered = delivered.lock().expect("no thread panics");
                    wake.content.job_ids.iter().for_each(|job| *delivered.entry(*job).or_default() += 1);
                    drop(delivered);
                    homing.confirm_wake(&wake).expect("it is confirmed");
                }
            })
        })
        .collect();
    for _ in 0..ROUNDS {
        // Two at once, so that one is undelivered while the other is being delivered.
        let jobs = [setup.launch("chat", "true"), setup.launch("chat", "true")];
        setup.wait_for_acknowledged(&jobs);
    }
    finished.store(true, Ordering::Relaxed);
    hooks.into_iter().for_each(|hook| hook.join().expect("it ends"));
    let by_hooks = delivered.lock().expect("no thread panics").clone();
    let mut by_all = by_hooks.clone();
    setup.sink.received().iter().flat_map(|received| &received.jobs).for_each(|job| {
        *by_all.entry(*job).or_default() += 1;
    });
    monitor.stop();
    assert!(by_all.values().all(|times| *times == 1), "{by_all:?}");
    assert_eq!(by_all.len(), 2 * ROUNDS);
    eprintln!("{} of {} jobs were delivered by the hooks", by_hooks.len(), 2 * ROUNDS);
}

#[test]
fn a_wake_in_flight_cannot_be_claimed_and_a_busy_one_can() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    setup.sink.answers("chat", [Answer::AtTheGate]);
    let job = setup.launch("chat", "true");
    setup.sink.wait_for(1);
    assert!(setup.homing.claim_wake(&claimant("chat")).expect("the ledger").is_none());
    setup.sink.open_the_gate();
    setup.wait_for_state(job, FollowUpState::Acknowledged);

    let reason = "open in a terminal".to_owned();
    let busy = Delivery::Busy { retry_after: Some(Duration::from_secs(3_600)), reason };
    setup.sink.answers("other", [Answer::Says(busy)]);
    let job = setup.launch("other", "true");
    wait_until("the sink answered busy", || {
        setup.homing.wakes_of(job).expect("the ledger").first().is_some_and(|wake| wake.last_error.is_some())
    });
    assert!(
        setup.homing.claim_wake(&claimant("chat")).expect("the ledger").is_none(),
        "never another session's"
    );
    let wake = setup.homing.claim_wake(&claimant("other")).expect("the ledger").expect("a wake");
    assert_eq!(wake.content.job_ids, [job]);
    assert_eq!(setup.state(job), FollowUpState::HandedOff);
    assert!(setup.homing.claim_wake(&claimant("other")).expect("the ledger").is_none());
    let claimed = setup.homing.claimed_wakes(&wake.session).expect("the ledger");
    assert_eq!(claimed.iter().map(|wake| wake.id).collect::<Vec<_>>(), [wake.id]);
    setup.homing.confirm_wake(&wake).expect("it is confirmed");
    let [record] = setup.homing.wakes_of(job).expect("the ledger").try_into().expect("one wake");
    assert_eq!(record.state, WakeState::Delivered);
    let results: Vec<_> = record.attempts.iter().map(|attempt| attempt.result.as_deref()).collect();
    assert_eq!(results.last(), Some(&Some("claimed")));
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
    monitor.stop();
}

#[test]
fn the_monitor_delivers_a_wake_that_the_hook_gives_back() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let reason = "open in a terminal".to_owned();
    let busy = Delivery::Busy { retry_after: Some(Duration::from_secs(3_600)), reason };
    setup.sink.answers("chat", [Answer::Says(busy)]);
    let job = setup.launch("chat", "true");
    wait_until("the sink answered busy", || {
        setup.homing.wakes_of(job).expect("the ledger").first().is_some_and(|wake| wake.last_error.is_some())
    });
    let wake = setup.homing.claim_wake(&claimant("chat")).expect("the ledger").expect("a wake");
    setup.homing.give_back(&wake).expect("it is given back");
    setup.wait_for_state(job, FollowUpState::Acknowledged);
    let received = setup.sink.received();
    assert_eq!(received.last().map(|received| received.wake), Some(wake.id));
    monitor.stop();
}

#[test]
fn a_waiting_claimant_gets_the_wake_instead_of_the_monitor() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let gate = setup.home.scratch().join("gate");
    let job = setup.launch("chat", &format!("until [ -e {} ]; do sleep 0.01; done", gate.display()));
    let homing = setup.homing.clone();
    let waiter =
        std::thread::spawn(move || homing.wait_to_claim(&claimant("chat"), || true).expect("it waits"));
    let is_waited_for = || {
        let names = std::fs::read_dir(setup.home.path()).expect("a home");
        names.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("waiting-"))
    };
    let spec = setup.homing.job_path(job).join("spec.json");
    wait_until("the monitor is held back", || {
        let spec = std::fs::File::open(&spec).expect("a job");
        flock(&spec, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    });
    let second = setup.homing.wait_to_claim(&claimant("chat"), || true).expect("the ledger");
    assert!(second.is_none(), "only one process waits for a session");
    std::fs::write(gate, "").expect("the gate opens");
    let wake = waiter.join().expect("it ends").expect("a wake");
    assert_eq!(wake.content.job_ids, [job]);
    setup.homing.confirm_wake(&wake).expect("it is confirmed");
    assert!(setup.sink.received().is_empty(), "{:?}", setup.sink.received());
    assert!(!is_waited_for(), "the lock file is removed");
    let nothing = setup.homing.wait_to_claim(&claimant("chat"), || true).expect("the ledger");
    monitor.stop();
    assert!(nothing.is_none(), "without jobs the call returns at once");
}

#[test]
fn the_monitor_delivers_an_unconfirmed_wake_under_the_same_id() {
    let setup = Setup::new();
    let job = setup.launch("chat", "true");
    setup.wait_for_end(&[job]);
    let wake = setup.homing.claim_wake(&claimant("chat")).expect("the ledger").expect("a wake");
    setup.deliver_once();
    assert!(setup.sink.received().is_empty(), "the deadline has not passed");
    // Simulates that 15 minutes have passed.
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    // Without a configuration the wake is for the sink of the harness. The sink of the test has another name.
    ledger.execute("UPDATE wakes SET next_at = 0, sink = 'scripted'", []).expect("a wake");
    setup.deliver_once();
    let [received] = setup.sink.received().try_into().expect("once");
    assert_eq!((received.wake, received.attempt, received.jobs), (wake.id, 2, vec![job]));
    assert_eq!(received.text, wake.content.text);
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
}
