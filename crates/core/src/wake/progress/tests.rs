//! Transitions of wakes.

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds * 1_000)
}

fn answered(delivery: Delivery) -> WakeEvent {
    WakeEvent::Answered { delivery, acknowledge_within: HOUR }
}

fn failed() -> WakeEvent {
    answered(Delivery::Failed { error: "exit 1".to_owned() })
}

fn busy() -> WakeEvent {
    answered(Delivery::Busy { retry_after: None, reason: "turn is running".to_owned() })
}

fn id_of_lease(number: u8) -> LeaseId {
    LeaseId::new(at(0), [number; 10])
}

/// A lease of a minute that begins at 10 s, when [`run`] applies all events.
fn leased(number: u8) -> WakeEvent {
    WakeEvent::Leased(Lease { id: id_of_lease(number), holder: "host".to_owned(), expires_at: at(70) })
}

fn lease_answered(number: u8, delivery: Delivery) -> WakeEvent {
    WakeEvent::LeaseAnswered { lease: id_of_lease(number), delivery, acknowledge_within: HOUR }
}

fn run(events: &[WakeEvent]) -> (WakeProgress, Option<FollowUpEvent>) {
    let policy = RetryPolicy::default();
    events.iter().fold((WakeProgress::new(at(0)), None), |(progress, _), event| {
        progress.after(event, &policy, at(10), 0.5)
    })
}

#[test]
fn answer_of_the_sink_decides_the_event_of_the_follow_ups() {
    let after = |delivery| {
        let (progress, event) = run(&[WakeEvent::Started, answered(delivery)]);
        (progress.state, progress.attempts, progress.next_at, event)
    };
    use FollowUpEvent as Event;
    assert_eq!(after(Delivery::Delivered), (WakeState::Delivered, 1, None, Some(Event::Acknowledged)));
    assert_eq!(
        after(Delivery::HandedOff),
        (WakeState::HandedOff, 1, Some(at(3_610)), Some(Event::HandedOff))
    );
    let (retry_after, reason) = (Some(Duration::from_secs(7)), String::new());
    assert_eq!(after(Delivery::Busy { retry_after, reason }), (WakeState::Scheduled, 0, Some(at(17)), None));
    let reason = "no such chat".to_owned();
    assert_eq!(after(Delivery::Gone { reason }), (WakeState::Dead, 1, None, Some(Event::GivenUp)));
    let error = "exit 1".to_owned();
    assert_eq!(
        after(Delivery::Failed { error }),
        (WakeState::Scheduled, 1, Some(at(15)), Some(Event::AttemptFailed))
    );
}

#[test]
fn busy_answers_do_not_count_as_attempts() {
    let mut events = Vec::new();
    for _ in 0..1_000 {
        events.extend([WakeEvent::Started, busy()]);
    }
    let (progress, event) = run(&events);
    assert_eq!((progress.state, progress.attempts, event), (WakeState::Scheduled, 0, None));
    assert_eq!(progress.last_error.as_deref(), Some("busy: turn is running"));
}

#[test]
fn twelfth_failure_is_the_last() {
    let mut events = Vec::new();
    for _ in 0..11 {
        events.extend([WakeEvent::Started, failed()]);
    }
    assert_eq!(run(&events).0.state, WakeState::Scheduled);
    events.extend([WakeEvent::Started, failed()]);
    let (progress, event) = run(&events);
    assert_eq!((progress.state, progress.attempts), (WakeState::Dead, 12));
    assert_eq!(event, Some(FollowUpEvent::GivenUp));
}

#[test]
fn wake_that_crashes_monitors_is_given_up() {
    let rounds = [WakeEvent::Started, WakeEvent::AnswerLost].into_iter().cycle();
    let events: Vec<WakeEvent> = rounds.take(24).collect();
    assert_eq!(run(&events[..22]).0.state, WakeState::Scheduled);
    assert_eq!(run(&events).0.state, WakeState::Dead);
}

#[test]
fn unacknowledged_wake_is_sent_again() {
    let handed_off = [WakeEvent::Started, answered(Delivery::HandedOff)];
    let (progress, event) = run(&[&handed_off[..], &[WakeEvent::NotAcknowledged]].concat());
    assert_eq!((progress.state, progress.attempts), (WakeState::Scheduled, 1));
    assert_eq!(event, Some(FollowUpEvent::AttemptFailed));
    assert!(progress.is_due(at(10)));
}

#[test]
fn scheduled_wake_can_be_claimed_once() {
    let claim = WakeEvent::Claimed { acknowledge_within: HOUR };
    let claimed = WakeState::HandedOff;
    let (progress, event) = run(&[WakeEvent::Started, busy(), claim.clone()]);
    assert_eq!((progress.state, progress.attempts, progress.next_at), (claimed, 1, Some(at(3_610))));
    assert_eq!(event, Some(FollowUpEvent::HandedOff));
    assert_eq!(run(&[WakeEvent::Started, claim.clone()]).0.state, WakeState::InFlight);
    assert_eq!(run(&[claim.clone(), WakeEvent::Started]).0.state, claimed);
    assert_eq!(run(&[claim.clone(), claim.clone()]).1, None);
    let (progress, event) = run(&[claim, WakeEvent::Confirmed]);
    assert_eq!((progress.state, event), (WakeState::Delivered, Some(FollowUpEvent::Acknowledged)));
}

#[test]
fn printed_wake_is_handed_off_until_it_is_acknowledged() {
    let print = WakeEvent::Printed { acknowledge_within: HOUR };
    let (progress, event) = run(std::slice::from_ref(&print));
    assert_eq!((progress.state, progress.next_at), (WakeState::HandedOff, Some(at(3_610))));
    assert_eq!(event, Some(FollowUpEvent::HandedOff));
    assert_eq!(run(&[print.clone(), print.clone()]).1, None);
    assert_eq!(run(&[WakeEvent::Started, print]).0.state, WakeState::InFlight);
}

#[test]
fn answer_of_a_host_counts_as_that_of_a_sink() {
    for delivery in [
        Delivery::Delivered,
        Delivery::HandedOff,
        Delivery::Busy { retry_after: Some(HOUR), reason: "turn is running".to_owned() },
        Delivery::Gone { reason: "no such chat".to_owned() },
        Delivery::Failed { error: "exit 1".to_owned() },
    ] {
        let by_host = run(&[leased(1), lease_answered(1, delivery.clone())]);
        assert_eq!(by_host, run(&[WakeEvent::Started, answered(delivery)]));
        assert_eq!(by_host.0.lease, None);
    }
}

#[test]
fn only_the_holder_of_the_lease_answers() {
    let (held, _) = run(&[leased(1)]);
    assert_eq!((held.state, held.attempts, held.next_at), (WakeState::InFlight, 0, None));
    for event in [
        lease_answered(2, Delivery::Delivered),
        WakeEvent::LeaseExpired(id_of_lease(2)),
        answered(Delivery::Delivered),
        WakeEvent::AnswerLost,
        leased(2),
        WakeEvent::Claimed { acknowledge_within: HOUR },
        WakeEvent::Printed { acknowledge_within: HOUR },
        WakeEvent::Superseded,
        WakeEvent::RetriedNow { from_the_start: true },
    ] {
        assert_eq!(run(&[leased(1), event.clone()]), (held.clone(), None), "{event:?}");
    }
    // A sink has it: no host answers.
    let (in_flight, _) = run(&[WakeEvent::Started]);
    assert_eq!(run(&[WakeEvent::Started, lease_answered(1, Delivery::Delivered)]), (in_flight.clone(), None));
    assert_eq!(run(&[WakeEvent::Started, WakeEvent::LeaseExpired(id_of_lease(1))]), (in_flight, None));
}

#[test]
fn expired_lease_is_a_failed_attempt_with_a_delay() {
    let (progress, event) = run(&[leased(1), WakeEvent::LeaseExpired(id_of_lease(1))]);
    assert_eq!((progress.state, progress.attempts), (WakeState::Scheduled, 1));
    assert_eq!((progress.next_at, event), (Some(at(15)), Some(FollowUpEvent::AttemptFailed)));
    let error = "the lease of host expired: no answer within 1m";
    assert_eq!(progress.last_error.as_deref(), Some(error));
    let rounds = [leased(1), WakeEvent::LeaseExpired(id_of_lease(1))].into_iter().cycle();
    let events: Vec<WakeEvent> = rounds.take(24).collect();
    assert_eq!(run(&events[..22]).0.state, WakeState::Scheduled);
    let (progress, event) = run(&events);
    assert_eq!((progress.state, progress.attempts), (WakeState::Dead, 12));
    assert_eq!(event, Some(FollowUpEvent::GivenUp));
}

#[test]
fn lease_expires_at_its_end_and_when_the_clock_is_set_back() {
    let (progress, _) = run(&[leased(1)]);
    let expired = |seconds| progress.expired_lease(at(seconds)).map(|lease| lease.id);
    assert_eq!([10, 69].map(expired), [None, None]);
    assert_eq!([70, 9, -86_400].map(expired), [Some(id_of_lease(1)); 3]);
}

#[test]
fn clock_that_was_set_back_delays_nothing() {
    let (progress, _) = run(&[WakeEvent::Started, failed()]);
    assert!(!progress.is_due(at(11)));
    assert!(progress.is_due(at(-86_400)));
}

fn any_event() -> impl Strategy<Value = WakeEvent> {
    prop::sample::select(vec![
        WakeEvent::Started,
        answered(Delivery::Delivered),
        answered(Delivery::HandedOff),
        busy(),
        answered(Delivery::Gone { reason: "x".repeat(2_000) }),
        failed(),
        WakeEvent::Claimed { acknowledge_within: HOUR },
        WakeEvent::Printed { acknowledge_within: HOUR },
        leased(1),
        leased(2),
        lease_answered(1, Delivery::Delivered),
        lease_answered(2, Delivery::Failed { error: "exit 1".to_owned() }),
        lease_answered(1, Delivery::Busy { retry_after: None, reason: "turn is running".to_owned() }),
        WakeEvent::LeaseExpired(id_of_lease(1)),
        WakeEvent::LeaseExpired(id_of_lease(2)),
        WakeEvent::Confirmed,
        WakeEvent::AnswerLost,
        WakeEvent::NotAcknowledged,
        WakeEvent::Superseded,
        WakeEvent::RetriedNow { from_the_start: false },
        WakeEvent::RetriedNow { from_the_start: true },
    ])
}

proptest! {
    #[test]
    fn final_states_stay_final_and_only_delivery_acknowledges(
        events in prop::collection::vec(any_event(), 0..60)
    ) {
        let policy = RetryPolicy::default();
        let mut progress = WakeProgress::new(at(0));
        for event in events {
            let (next, follow_up) = progress.after(&event, &policy, at(10), 0.5);
            if !progress.state.is_open() {
                prop_assert_eq!(&next, &progress);
                prop_assert_eq!(follow_up, None);
            }
            let proved = match progress.state {
                WakeState::InFlight => match &progress.lease {
                    Some(lease) if lease.id == id_of_lease(1) => {
                        event == lease_answered(1, Delivery::Delivered)
                    }
                    Some(_) => false,
                    None => event == answered(Delivery::Delivered),
                },
                WakeState::HandedOff => event == WakeEvent::Confirmed,
                WakeState::Scheduled | WakeState::Delivered | WakeState::Dead | WakeState::Superseded => false,
            };
            prop_assert_eq!(follow_up == Some(FollowUpEvent::Acknowledged), proved);
            prop_assert_eq!(
                follow_up == Some(FollowUpEvent::GivenUp),
                next.state == WakeState::Dead && progress.state.is_open()
            );
            prop_assert!(next.lease.is_none() || next.state == WakeState::InFlight);
            prop_assert!(next.last_error.as_ref().is_none_or(|error| error.chars().count() <= 501));
            progress = next;
        }
    }
}

#[test]
fn names_are_read_back() {
    for state in WakeState::ALL {
        assert_eq!(WakeState::from_name(state.as_str()), Some(state));
    }
}
