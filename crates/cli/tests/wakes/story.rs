//! The state of a wake after each answer of its sink.

use std::time::Duration;

use homing::{
    Delivery, FollowUpState, JobSpec, KilledBy, MonitorConfig, MonitorEnd, MonitorEvent, MonitorUntil,
    WakeState,
};
use testkit::wait_until;

use crate::setup::{Answer, Setup, busy, failed, gone, quick};

#[test]
fn a_finished_job_wakes_its_own_session_with_its_result() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let (one, two) = (setup.launch("chat-1", "echo first; exit 3"), setup.launch("chat-2", "echo second"));
    setup.wait_for_acknowledged(&[one, two]);
    let mut received = setup.sink.received();
    received.sort_by_key(|wake| wake.session.clone());
    let delivered: Vec<_> = received.iter().map(|wake| (wake.session.as_str(), wake.jobs.clone())).collect();
    assert_eq!(delivered, [("chat-1", vec![one]), ("chat-2", vec![two])]);
    assert!(received[0].text.contains("first") && received[0].text.contains("exit code 3"), "{received:#?}");
    let document: serde_json::Value = serde_json::from_str(&received[0].documents).expect("JSON");
    assert_eq!(document[0]["outcome"]["exit_code"], 3, "{document:#}");
    assert_eq!(monitor.stop(), MonitorEnd::Stopped);
}

#[test]
fn a_failed_wake_is_sent_again_with_the_same_id_and_content() {
    let setup = Setup::new();
    setup.sink.answers("chat", [failed(), failed()]);
    let monitor = setup.monitor();
    let id = setup.launch("chat", "echo hello");
    setup.wait_for_acknowledged(&[id]);
    let received = setup.sink.received();
    assert_eq!(received.iter().map(|wake| wake.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    for again in &received[1..] {
        assert_eq!((again.wake, &again.text), (received[0].wake, &received[0].text));
        assert_eq!((&again.documents, &again.jobs), (&received[0].documents, &received[0].jobs));
    }
    let wakes = setup.homing.wakes_of(id).expect("wakes");
    let results: Vec<_> = wakes[0].attempts.iter().map(|attempt| attempt.result.as_deref()).collect();
    assert_eq!((wakes.len(), wakes[0].state), (1, WakeState::Delivered));
    assert_eq!(results, [Some("failed"), Some("failed"), Some("delivered")]);
    assert!(wakes[0].attempts.iter().all(|attempt| attempt.ended_at.is_some()));
    monitor.stop();
}

#[test]
fn a_wake_that_always_fails_is_dead_and_shown_and_can_be_retried() {
    let setup = Setup::new();
    setup.sink.answers("chat", [failed(), failed(), failed(), failed()]);
    let monitor = setup.monitor();
    let id = setup.launch("chat", "true");
    let job = setup.wait_for_state(id, FollowUpState::Dead);
    assert_eq!((job.follow_up.attempts, job.follow_up.next_attempt_at), (4, None));
    assert_eq!(job.follow_up.last_error.as_deref(), Some("the script says so"));
    assert_eq!(setup.homing.follow_ups(&Default::default()).expect("follow-ups").len(), 1);
    // A retry creates a new wake, and the running monitor ingests it.
    setup.homing.retry(&[id]).expect("it can be retried");
    setup.wait_for_acknowledged(&[id]);
    let received = setup.sink.received();
    assert_eq!(received.len(), 5);
    assert_ne!(received[4].wake, received[0].wake);
    assert_eq!(received[4].attempt, 1);
    assert_eq!(setup.homing.wakes_of(id).expect("wakes").len(), 2);
    monitor.stop();
}

#[test]
fn a_gone_session_is_not_tried_again() {
    let setup = Setup::new();
    setup.sink.answers("chat", [gone()]);
    let id = setup.launch("chat", "true");
    setup.wait_for_end(&[id]);
    setup.deliver_once();
    let job = setup.job(id);
    assert_eq!(job.follow_up.state, FollowUpState::Dead);
    assert_eq!(job.follow_up.last_error.as_deref(), Some("gone: no such chat"));
    setup.deliver_once();
    assert_eq!(setup.sink.received().len(), 1);
}

#[test]
fn a_busy_session_is_retried_without_using_up_attempts() {
    let setup = Setup::new();
    setup.sink.answers("chat", (0..50).map(|_| busy()));
    let monitor = setup.monitor();
    let id = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[id]);
    let received = setup.sink.received();
    assert_eq!(received.len(), 51);
    assert!(received.iter().all(|wake| wake.attempt == 1 && wake.wake == received[0].wake));
    assert_eq!(setup.job(id).follow_up.attempts, 1);
    monitor.stop();
}

#[test]
fn a_busy_session_that_is_reported_free_is_retried_at_once() {
    let setup = Setup::with(MonitorConfig { busy_retry: Duration::from_secs(3_600), ..quick() });
    setup.sink.answers("chat", [busy()]);
    let monitor = setup.monitor();
    let id = setup.launch("chat", "true");
    wait_until("the retry is scheduled", || setup.job(id).follow_up.next_attempt_at.is_some());
    assert_eq!(setup.job(id).follow_up.last_error.as_deref(), Some("busy: a turn is running"));
    monitor.handle.session_is_free(&"chat".parse().expect("a session"));
    setup.wait_for_acknowledged(&[id]);
    monitor.stop();
}

#[test]
fn a_session_that_becomes_free_before_its_busy_answer_arrives_is_retried_at_once() {
    let setup = Setup::with(MonitorConfig { busy_retry: Duration::from_secs(3_600), ..quick() });
    let monitor = setup.monitor();
    setup.sink.answers("chat", [Answer::BusyUntilNow(monitor.handle.clone())]);
    let id = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[id]);
    assert_eq!(setup.sink.received().len(), 2);
    monitor.stop();
}

#[test]
fn a_standby_monitor_retries_a_session_that_was_reported_free_to_it() {
    let setup = Setup::with(MonitorConfig { busy_retry: Duration::from_secs(3_600), ..quick() });
    setup.sink.answers("chat", [busy()]);
    let first = setup.monitor();
    let id = setup.launch("chat", "true");
    wait_until("the retry is scheduled", || setup.job(id).follow_up.next_attempt_at.is_some());
    let (waits, is_waiting) = std::sync::mpsc::channel();
    let second = setup.start(setup.options().observe(move |event| {
        if matches!(event, MonitorEvent::Standby { .. }) {
            let _ = waits.send(());
        }
    }));
    is_waiting.recv().expect("the second waits");
    second.handle.session_is_free(&"chat".parse().expect("a session"));
    first.stop();
    setup.wait_for_acknowledged(&[id]);
    second.stop();
}

#[test]
fn a_handed_off_wake_is_sent_again_unless_acknowledged() {
    let setup = Setup::new();
    let handed_off = || Answer::Says(Delivery::HandedOff);
    setup.sink.answers("chat", [handed_off(), handed_off()]);
    let monitor = setup.monitor();
    let id = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[id]);
    let received = setup.sink.received();
    assert_eq!(received.iter().map(|wake| wake.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(received.iter().all(|wake| wake.wake == received[0].wake && wake.text == received[0].text));
    monitor.stop();
}

#[test]
fn an_acknowledged_handed_off_wake_is_superseded() {
    let setup = Setup::new();
    setup.sink.answers("chat", [Answer::Says(Delivery::HandedOff)]);
    let id = setup.launch("chat", "true");
    setup.wait_for_end(&[id]);
    setup.deliver_once();
    assert_eq!(setup.state(id), FollowUpState::HandedOff);
    setup.homing.acknowledge(&[id]).expect("it can be acknowledged");
    wait_until("the deadline has passed", || {
        setup.deliver_once();
        setup.homing.wakes_of(id).expect("wakes")[0].state == WakeState::Superseded
    });
    assert_eq!(setup.sink.received().len(), 1);
}

#[test]
fn results_that_the_session_has_read_are_not_delivered() {
    let setup = Setup::with(MonitorConfig { retries: vec![Duration::from_secs(3_600)], ..quick() });
    setup.sink.answers("chat", [failed()]);
    let (read, never, killed) =
        (setup.launch("chat", "true"), setup.launch("chat", "true"), setup.launch("chat", "sleep MARK"));
    setup.wait_for_end(&[read, never]);
    setup.homing.kill(killed, KilledBy::Session).expect("it can be killed");
    setup.homing.drop_follow_ups(&[never]).expect("it can be dropped");
    setup.deliver_once();
    assert_eq!(setup.sink.received().len(), 1, "the first attempt fails");
    setup.homing.acknowledge(&[read]).expect("it can be acknowledged");
    setup.deliver_once();
    assert_eq!(setup.homing.wakes_of(read).expect("wakes")[0].state, WakeState::Superseded);
    assert_eq!(setup.sink.received().len(), 1);
    assert!(setup.homing.wakes_of(killed).expect("wakes").is_empty());
}

#[test]
fn the_next_monitor_delivers_jobs_that_ended_without_a_monitor() {
    let setup = Setup::new();
    let ids: Vec<_> = (0..5).map(|n| setup.launch(&format!("chat-{n}"), "true")).collect();
    setup.wait_for_end(&ids);
    assert!(ids.iter().all(|id| setup.state(*id) == FollowUpState::Pending));
    setup.deliver_once();
    assert!(ids.iter().all(|id| setup.state(*id) == FollowUpState::Acknowledged));
    assert_eq!(setup.sink.received().len(), 5);
}

#[test]
fn a_session_without_a_route_stays_pending_with_the_reason() {
    let setup = Setup::new();
    let id = setup.launch("other", "true");
    setup.wait_for_end(&[id]);
    let options = homing::MonitorOptions::new()
        .sink("scripted", setup.sink.clone())
        .route("chat-*", "scripted")
        .until(MonitorUntil::NothingDue);
    setup.homing.monitor(options).expect("a monitor").run().expect("the monitor works");
    let job = setup.job(id);
    assert_eq!(job.follow_up.state, FollowUpState::Pending);
    assert_eq!(job.follow_up.last_error.as_deref(), Some("no route matches this session"));
    setup.deliver_once();
    assert_eq!(setup.state(id), FollowUpState::Acknowledged);
    assert_eq!(setup.job(id).follow_up.last_error, None);
}

#[test]
fn an_on_demand_monitor_ends_when_everything_is_delivered() {
    let setup = Setup::new();
    setup.sink.answers("chat", [failed(), busy()]);
    let id = setup.launch("chat", "sleep 0.1");
    let monitor = setup.start(setup.options().until(MonitorUntil::Idle));
    assert_eq!(monitor.end(), MonitorEnd::Done);
    assert_eq!(setup.state(id), FollowUpState::Acknowledged);
    assert_eq!(setup.homing.active_monitor().expect("the lock can be read"), None);
}

#[test]
fn jobs_that_name_different_sinks_get_different_wakes() {
    let setup = Setup::new();
    let plain = setup.launch("chat", "true");
    let named = JobSpec::script("true").expect("a script").session("chat".parse().expect("a session"));
    // Only a configured sink may be named.
    let refused = setup.homing.launch(named.sink("elsewhere")).expect_err("the sink is unknown");
    assert_eq!(refused.code(), "no_such_sink");
    setup.wait_for_end(&[plain]);
    setup.deliver_once();
    assert_eq!(setup.sink.received().len(), 1);
}

#[test]
fn a_session_is_not_woken_for_a_job_that_it_waits_for() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let session = "chat".parse().expect("a session");
    let gate = setup.home.scratch().join("gate");
    let script = format!("until [ -e {} ]; do sleep 0.01; done", gate.display());
    let (read, left) = (setup.launch("chat", &script), setup.launch("chat", &script));
    let hold = setup.homing.hold_delivery(&[read, left], &session);
    let other = setup.homing.hold_delivery(&[read], &"other".parse().expect("a session"));
    std::fs::write(gate, "").expect("a file");
    setup.wait_for_end(&[read, left]);
    // The monitor has ingested both ends: it delivers a later result to another session.
    let later = setup.launch("later", "true");
    setup.wait_for_acknowledged(&[later]);
    setup.homing.acknowledge(&[read]).expect("it can be acknowledged");
    drop((hold, other));
    // The result that was not read is delivered.
    setup.wait_for_acknowledged(&[left]);
    let delivered: Vec<_> = setup.sink.received().into_iter().map(|wake| wake.jobs).collect();
    assert!(!delivered.concat().contains(&read), "{delivered:?}");
    monitor.stop();
}
