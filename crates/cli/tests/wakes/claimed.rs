//! A session that is told from inside: a hook takes what it is to be told, and the monitor wants to tell it too.

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
    Claimant { session: session.parse().expect("a session"), harness: "claude-code".to_owned() }
}

/// How often both sides want to tell the same.
const ROUNDS: usize = 150;

#[test]
fn hook_and_monitor_tell_of_every_job_once() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let told: Arc<Mutex<HashMap<JobId, usize>>> = Arc::default();
    let over = Arc::new(AtomicBool::new(false));
    let hooks: Vec<_> = (0..2)
        .map(|_| {
            let (homing, told, over) = (Arc::clone(&setup.homing), Arc::clone(&told), Arc::clone(&over));
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let Some(wake) = homing.claim_wake(&claimant("chat")).expect("it looks") else {
                        continue;
                    };
                    let mut told = told.lock().expect("nobody panics");
                    wake.content.job_ids.iter().for_each(|job| *told.entry(*job).or_default() += 1);
                    drop(told);
                    homing.confirm_wake(&wake).expect("it is confirmed");
                }
            })
        })
        .collect();
    for _ in 0..ROUNDS {
        // Two at once, so that there is something to tell while something is told.
        let jobs = [setup.launch("chat", "true"), setup.launch("chat", "true")];
        setup.wait_for_acknowledged(&jobs);
    }
    over.store(true, Ordering::Relaxed);
    hooks.into_iter().for_each(|hook| hook.join().expect("it ends"));
    let by_hooks = told.lock().expect("nobody panics").clone();
    let mut by_anybody = by_hooks.clone();
    setup.sink.received().iter().flat_map(|received| &received.jobs).for_each(|job| {
        *by_anybody.entry(*job).or_default() += 1;
    });
    monitor.stop();
    assert!(by_anybody.values().all(|times| *times == 1), "{by_anybody:?}");
    assert_eq!(by_anybody.len(), 2 * ROUNDS);
    eprintln!("{} of {} jobs were told by the hooks", by_hooks.len(), 2 * ROUNDS);
}

#[test]
fn what_a_sink_has_cannot_be_taken_and_what_it_was_too_busy_for_can() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    setup.sink.answers("chat", [Answer::AtTheGate]);
    let job = setup.launch("chat", "true");
    setup.sink.wait_for(1);
    assert!(setup.homing.claim_wake(&claimant("chat")).expect("it looks").is_none());
    setup.sink.open_the_gate();
    setup.wait_for_state(job, FollowUpState::Acknowledged);

    let reason = "open in a terminal".to_owned();
    let busy = Delivery::Busy { retry_after: Some(Duration::from_secs(3_600)), reason };
    setup.sink.answers("other", [Answer::Says(busy)]);
    let job = setup.launch("other", "true");
    wait_until("it was too busy", || {
        setup.homing.wakes_of(job).expect("it looks").first().is_some_and(|wake| wake.last_error.is_some())
    });
    assert!(
        setup.homing.claim_wake(&claimant("chat")).expect("it looks").is_none(),
        "never another session's"
    );
    let wake = setup.homing.claim_wake(&claimant("other")).expect("it looks").expect("it is taken");
    assert_eq!(wake.content.job_ids, [job]);
    assert_eq!(setup.state(job), FollowUpState::HandedOff);
    assert!(setup.homing.claim_wake(&claimant("other")).expect("it looks").is_none());
    let taken = setup.homing.claimed_wakes(&wake.session).expect("it looks");
    assert_eq!(taken.iter().map(|wake| wake.id).collect::<Vec<_>>(), [wake.id]);
    setup.homing.confirm_wake(&wake).expect("it is confirmed");
    let [record] = setup.homing.wakes_of(job).expect("it looks").try_into().expect("one wake");
    assert_eq!(record.state, WakeState::Delivered);
    let results: Vec<_> = record.attempts.iter().map(|attempt| attempt.result.as_deref()).collect();
    assert_eq!(results.last(), Some(&Some("claimed")));
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
    monitor.stop();
}

#[test]
fn what_could_not_be_shown_is_told_by_the_monitor() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let reason = "open in a terminal".to_owned();
    let busy = Delivery::Busy { retry_after: Some(Duration::from_secs(3_600)), reason };
    setup.sink.answers("chat", [Answer::Says(busy)]);
    let job = setup.launch("chat", "true");
    wait_until("it was too busy", || {
        setup.homing.wakes_of(job).expect("it looks").first().is_some_and(|wake| wake.last_error.is_some())
    });
    let wake = setup.homing.claim_wake(&claimant("chat")).expect("it looks").expect("it is taken");
    setup.homing.give_back(&wake).expect("it is given back");
    setup.wait_for_state(job, FollowUpState::Acknowledged);
    let received = setup.sink.received();
    assert_eq!(received.last().map(|received| received.wake), Some(wake.id));
    monitor.stop();
}

#[test]
fn whoever_waits_gets_it_and_the_monitor_leaves_it_to_him() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let gate = setup.home.scratch().join("gate");
    let job = setup.launch("chat", &format!("until [ -e {} ]; do sleep 0.01; done", gate.display()));
    let homing = Arc::clone(&setup.homing);
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
    let second = setup.homing.wait_to_claim(&claimant("chat"), || true).expect("it looks");
    assert!(second.is_none(), "one waits for a session");
    std::fs::write(gate, "").expect("the gate opens");
    let wake = waiter.join().expect("it ends").expect("it is taken");
    assert_eq!(wake.content.job_ids, [job]);
    setup.homing.confirm_wake(&wake).expect("it is confirmed");
    assert!(setup.sink.received().is_empty(), "{:?}", setup.sink.received());
    assert!(!is_waited_for(), "nothing stays behind");
    let nothing = setup.homing.wait_to_claim(&claimant("chat"), || true).expect("it looks");
    monitor.stop();
    assert!(nothing.is_none(), "without jobs there is nothing to wait for");
}

#[test]
fn what_nobody_confirms_is_told_by_the_monitor_under_the_same_id() {
    let setup = Setup::new();
    let job = setup.launch("chat", "true");
    setup.wait_for_end(&[job]);
    let wake = setup.homing.claim_wake(&claimant("chat")).expect("it looks").expect("it is taken");
    setup.tell_once();
    assert!(setup.sink.received().is_empty(), "its time is not over");
    // As if 15 minutes had gone by.
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    // Without a configuration the wake is for the sink of the harness; the test's is called otherwise.
    ledger.execute("UPDATE wakes SET next_at = 0, sink = 'scripted'", []).expect("a wake");
    setup.tell_once();
    let [received] = setup.sink.received().try_into().expect("once");
    assert_eq!((received.wake, received.attempt, received.jobs), (wake.id, 2, vec![job]));
    assert_eq!(received.text, wake.content.text);
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
}
