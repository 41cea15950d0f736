//! The events of wakes: every answer of a sink, every claim and every retry is one, with the attempt and the reason.

use homing::{
    ActorKind, Claimant, EventCursor, EventKind, EventOptions, FollowUpState, JobId, MonitorConfig, WakeState,
};

use crate::setup::{Setup, busy, failed, gone, quick};

/// The types of the events of wakes and follow-ups, with attempt and error.
fn recorded(setup: &Setup) -> Vec<String> {
    let options = EventOptions { since: Some(EventCursor::oldest()), ..EventOptions::default() };
    let events = setup.homing.events_since(&options).expect("events").events;
    let lines = events.iter().filter_map(|event| match &event.event {
        EventKind::Wake { attempt, error, sink, jobs, .. } => {
            assert_eq!((sink.as_deref(), jobs.len(), event.job), (Some("scripted"), 1, None), "{event:?}");
            let attempt = attempt.map_or_else(|| "-".to_owned(), |attempt| attempt.to_string());
            let error = error.as_deref().unwrap_or("-");
            Some(format!("{} {attempt} {error}", event.event.name()))
        }
        EventKind::FollowUp { from, .. } => Some(format!("{} from {from}", event.event.name())),
        _ => None,
    });
    lines.collect()
}

fn finished(setup: &Setup, session: &str) -> JobId {
    let id = setup.launch(session, "true");
    setup.wait_for_end(&[id]);
    id
}

#[test]
fn every_attempt_and_its_answer_is_an_event() {
    let setup = Setup::new();
    setup.sink.answers("chat", [failed(), busy()]);
    let job = finished(&setup, "chat");
    let monitor = setup.monitor();
    setup.wait_for_state(job, FollowUpState::Acknowledged);
    monitor.stop();
    let expected = [
        "follow_up.pending from waiting",
        "wake.in_flight 1 -",
        "wake.scheduled 1 the script says so",
        "wake.in_flight 2 -",
        "wake.scheduled 2 busy: a turn is running",
        "wake.in_flight 2 -",
        "wake.delivered 2 -",
        "follow_up.acknowledged from pending",
    ];
    assert_eq!(recorded(&setup), expected);
}

#[test]
fn a_dead_wake_and_its_retry_are_events() {
    let setup = Setup::new();
    setup.sink.answers("chat", [gone()]);
    let job = finished(&setup, "chat");
    setup.deliver_once();
    setup.homing.retry(&[job]).expect("it is dead");
    setup.deliver_once();
    let expected = [
        "follow_up.pending from waiting",
        "wake.in_flight 1 -",
        "wake.dead 1 gone: no such chat",
        "follow_up.dead from pending",
        "follow_up.pending from dead",
        "wake.in_flight 1 -",
        "wake.delivered 1 -",
        "follow_up.acknowledged from pending",
    ];
    assert_eq!(recorded(&setup), expected);
}

#[test]
fn a_wake_that_is_not_needed_any_more_is_superseded() {
    let setup =
        Setup::with(MonitorConfig { retries: vec![std::time::Duration::from_secs(3_600)], ..quick() });
    setup.sink.answers("chat", [failed()]);
    let job = finished(&setup, "chat");
    setup.deliver_once();
    setup.homing.acknowledge(&[job]).expect("it has finished");
    setup.deliver_once();
    let expected = [
        "follow_up.pending from waiting",
        "wake.in_flight 1 -",
        "wake.scheduled 1 the script says so",
        "follow_up.acknowledged from pending",
        "wake.superseded 1 the script says so",
    ];
    assert_eq!(recorded(&setup), expected);
}

#[test]
fn a_claim_by_a_hook_is_an_event_of_its_process() {
    let setup = Setup::new();
    let job = finished(&setup, "chat");
    let claimant =
        Claimant { session: "chat".parse().expect("a session"), harness: Some("claude-code".to_owned()) };
    let wake = setup.homing.claim_wake(&claimant).expect("the ledger").expect("a wake");
    setup.homing.give_back(&wake).expect("it is given back");
    let again = setup.homing.claim_wake(&claimant).expect("the ledger").expect("the same wake");
    assert_eq!(again.id, wake.id);
    setup.homing.confirm_wake(&again).expect("it is confirmed");
    let options = EventOptions { since: Some(EventCursor::oldest()), ..EventOptions::default() };
    let events = setup.homing.events_since(&options).expect("events").events;
    let of_wake: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.event {
            EventKind::Wake { state, attempt, jobs, .. } => {
                assert_eq!((event.wake, &jobs[..]), (Some(wake.id), &[job][..]));
                assert_eq!(
                    (event.actor.kind, event.actor.pid),
                    (ActorKind::Process, Some(std::process::id()))
                );
                assert_eq!(event.actor.session.as_ref(), Some(&claimant.session));
                Some((*state, *attempt))
            }
            _ => None,
        })
        .collect();
    let expected = [
        (WakeState::Scheduled, None),
        (WakeState::HandedOff, Some(1)),
        (WakeState::Scheduled, Some(1)),
        (WakeState::HandedOff, Some(2)),
        (WakeState::Delivered, Some(2)),
    ];
    assert_eq!(of_wake, expected);
}
