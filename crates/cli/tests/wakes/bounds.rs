//! At most one wake in flight for a session, in order, bounded in size and in number.

use std::collections::HashMap;
use std::time::Duration;

use homing::core::text::RESULT_LIMIT_CHARS;
use homing::{FollowUpOptions, FollowUpState, JobId, JobSpec, MonitorConfig};
use testkit::wait_until;

use crate::setup::{Answer, Setup, busy, failed, quick};

#[test]
fn fifty_jobs_that_end_together_come_in_two_bounded_wakes_at_most_failures_first() {
    let setup = Setup::new();
    setup.sink.answers("chat", [Answer::AtTheGate]);
    let mut held = setup.hold();
    for n in 0..50 {
        held.launch("chat", &format!("head -c 3000 /dev/zero | tr '\\0' x; exit {}", u8::from(n % 10 == 7)));
    }
    let monitor = setup.monitor();
    let ids = held.end_all();
    // While the first wake is in flight, the other results are batched.
    setup.sink.open_the_gate();
    setup.wait_for_acknowledged(&ids);
    let received = setup.sink.received();
    let delivered: usize = received.iter().map(|wake| wake.jobs.len()).sum();
    assert!(
        (1..=2).contains(&received.len()) && delivered == 50,
        "{} wakes, {delivered} jobs",
        received.len()
    );
    let failed: Vec<JobId> =
        ids.iter().copied().enumerate().filter(|(n, _)| n % 10 == 7).map(|(_, id)| id).collect();
    for wake in &received {
        let failures = wake.jobs.iter().filter(|id| failed.contains(id)).count();
        assert!(wake.jobs[..failures].iter().all(|id| failed.contains(id)), "failures first");
        assert!(wake.text.chars().count() <= RESULT_LIMIT_CHARS);
    }
    monitor.stop();
}

#[test]
fn a_thousand_jobs_that_end_at_once_are_all_delivered() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let mut held = setup.hold();
    for n in 0..1_000 {
        held.launch(&format!("chat-{}", n % 100), &format!("exit {}", n % 7));
    }
    let ids = held.end_all();
    wait_until("all are delivered", || {
        let due = setup.homing.follow_ups(&FollowUpOptions::default()).expect("follow-ups");
        due.is_empty()
    });
    let mut delivered: HashMap<JobId, Vec<String>> = HashMap::new();
    for wake in setup.sink.received() {
        for job in wake.jobs {
            delivered.entry(job).or_default().push(wake.session.to_string());
        }
    }
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(
            delivered.get(id),
            Some(&vec![format!("chat-{}", n % 100)]),
            "delivered once, to its own session"
        );
        let code = i32::try_from(n % 7).expect("small");
        assert_eq!(setup.job(*id).outcome(), Some(&homing::Outcome::Exited { exit_code: code.into() }));
    }
    monitor.stop();
}

#[test]
fn a_session_receives_results_in_the_order_in_which_jobs_ended() {
    let setup = Setup::new();
    let answers = [failed(), busy(), failed(), failed(), busy()];
    setup.sink.answers("chat", answers);
    let monitor = setup.monitor();
    let mut ids = Vec::new();
    for _ in 0..30 {
        let id = setup.launch("chat", "true");
        setup.wait_for_end(&[id]);
        ids.push(id);
    }
    setup.wait_for_acknowledged(&ids);
    let mut first_delivered: Vec<JobId> = Vec::new();
    for job in setup.sink.received().into_iter().flat_map(|wake| wake.jobs) {
        if !first_delivered.contains(&job) {
            first_delivered.push(job);
        }
    }
    assert_eq!(first_delivered, ids);
    monitor.stop();
}

#[test]
fn jobs_that_end_shortly_after_a_wake_are_batched_in_the_next() {
    let setup = Setup::with(MonitorConfig { batch_window: Duration::from_secs(3_600), ..quick() });
    let monitor = setup.monitor();
    let first = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[first]);
    let second = setup.launch("chat", "true");
    setup.wait_for_end(&[second]);
    // This does not delay another session.
    let other = setup.launch("other", "true");
    setup.wait_for_acknowledged(&[other]);
    assert_eq!(setup.state(second), FollowUpState::Pending);
    monitor.stop();
    // A monitor that only delivers what is due now does not wait for a batch.
    setup.deliver_once();
    assert_eq!(setup.state(second), FollowUpState::Acknowledged);
}

#[test]
fn the_budget_stops_a_session_that_wakes_itself_forever_and_the_hold_is_shown() {
    let setup = Setup::with(MonitorConfig { wakes_per_hour: 5, ..quick() });
    for _ in 0..10 {
        // The woken agent launches the same job again.
        let homing = setup.homing.clone();
        let relaunch = move || {
            let spec = JobSpec::script("true").expect("a script");
            homing.launch(spec.session("chat".parse().expect("a session"))).expect("it is launched");
        };
        setup.sink.answers("chat", [Answer::Does(Box::new(relaunch))]);
    }
    let monitor = setup.monitor();
    setup.launch("chat", "true");
    let held = || {
        let due = setup.homing.follow_ups(&FollowUpOptions::default()).expect("follow-ups");
        due.into_iter().find(|job| job.follow_up.last_error.is_some())
    };
    wait_until("the budget holds the sixth", || held().is_some());
    let job = held().expect("it was just there");
    let reason = job.follow_up.last_error.expect("a reason");
    assert_eq!(reason, "held: 5 wakes in the last hour (monitor.wakes_per_hour)");
    assert!(job.follow_up.next_attempt_at.is_some());
    assert_eq!(setup.sink.received().len(), 5);
    // Another session has its own budget.
    let other = setup.launch("other", "true");
    setup.wait_for_acknowledged(&[other]);
    assert_eq!(setup.sink.received().len(), 6);
    monitor.stop();
}

#[test]
fn a_hanging_sink_does_not_block_other_sessions() {
    let setup = Setup::new();
    setup.sink.answers("hangs", [Answer::AtTheGate]);
    let monitor = setup.monitor();
    let stuck = setup.launch("hangs", "true");
    setup.sink.wait_for(1);
    let others: Vec<JobId> = (0..20).map(|n| setup.launch(&format!("chat-{n}"), "true")).collect();
    setup.wait_for_acknowledged(&others);
    // Later results of the same session wait.
    let next = setup.launch("hangs", "true");
    setup.wait_for_end(&[next]);
    assert_eq!([setup.state(stuck), setup.state(next)], [FollowUpState::Pending; 2]);
    setup.sink.open_the_gate();
    setup.wait_for_acknowledged(&[stuck, next]);
    monitor.stop();
}
