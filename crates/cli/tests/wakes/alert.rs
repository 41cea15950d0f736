//! A person is told about dead wakes: once for each, and a failing alert changes nothing else.

use homing::{FollowUpState, MonitorConfig, MonitorUntil};
use testkit::wait_until;

use crate::setup::{Answer, ScriptedSink, Setup, failed, gone, quick};

fn with_alert() -> (Setup, ScriptedSink) {
    let setup = Setup::with(MonitorConfig { alert: Some("person".to_owned()), ..quick() });
    (setup, ScriptedSink::default())
}

#[test]
fn each_dead_wake_alerts_a_person_once() {
    let (setup, person) = with_alert();
    let monitor = setup.start(setup.options().sink("person", person.clone()));
    setup.sink.answers("lost", [gone()]);
    setup.sink.answers("broken", (0..4).map(|_| failed()));
    let lost = setup.launch("lost", "true");
    setup.wait_for_state(lost, FollowUpState::Dead);
    let alerts = person.wait_for(1);
    let text = &alerts[0].text;
    assert!(text.contains(&format!("Session lost, jobs {lost}: gone: no such chat\n")), "{text}");
    assert!(text.contains("homing retry JOB") && alerts[0].jobs.is_empty(), "{text}");
    let broken = setup.launch("broken", "true");
    setup.wait_for_state(broken, FollowUpState::Dead);
    let alerts = person.wait_for(2);
    assert!(
        alerts[1].text.contains(broken.as_str()) && !alerts[1].text.contains(lost.as_str()),
        "{alerts:?}"
    );
    // A delivered wake alerts nobody.
    let fine = setup.launch("fine", "true");
    setup.wait_for_state(fine, FollowUpState::Acknowledged);
    monitor.stop();
    // Another monitor does not repeat the alerts.
    setup.start(setup.options().sink("person", person.clone()).until(MonitorUntil::NothingDue)).end();
    assert_eq!(person.received().len(), 2);
}

#[test]
fn an_alert_that_fails_is_reported_and_not_repeated() {
    let (setup, person) = with_alert();
    person.answers("lost", [failed(), Answer::Panics]);
    setup.sink.answers("lost", [gone(), gone()]);
    let events: std::sync::Arc<std::sync::Mutex<Vec<String>>> = std::sync::Arc::default();
    let seen = std::sync::Arc::clone(&events);
    let observe = move |event: &homing::MonitorEvent| seen.lock().expect("no panic").push(event.to_string());
    let monitor = setup.start(setup.options().sink("person", person.clone()).observe(observe));
    let job = setup.launch("lost", "true");
    setup.wait_for_state(job, FollowUpState::Dead);
    let failures = || {
        let events = events.lock().expect("no panic");
        events.iter().filter(|event| event.starts_with("could not tell a person about 1 dead wake")).count()
    };
    wait_until("the failure is reported", || failures() == 1);
    let again = setup.launch("lost", "true");
    setup.wait_for_state(again, FollowUpState::Dead);
    wait_until("the panic is reported", || failures() == 2);
    assert_eq!(person.received().len(), 2);
    assert_eq!((setup.state(job), setup.state(again)), (FollowUpState::Dead, FollowUpState::Dead));
    monitor.stop();
}

#[test]
fn a_monitor_that_ends_by_itself_sends_its_alert_first() {
    let (setup, person) = with_alert();
    setup.sink.answers("lost", [gone()]);
    let job = setup.launch("lost", "true");
    setup.wait_for_end(&[job]);
    setup.start(setup.options().sink("person", person.clone()).until(MonitorUntil::Idle)).end();
    assert_eq!((setup.state(job), person.received().len()), (FollowUpState::Dead, 1));
}

#[test]
fn an_alert_through_a_missing_sink_is_a_warning() {
    let (setup, _) = with_alert();
    setup.sink.answers("lost", [gone()]);
    let job = setup.launch("lost", "true");
    setup.wait_for_end(&[job]);
    setup.start(setup.options().until(MonitorUntil::Idle)).end();
    assert_eq!(setup.state(job), FollowUpState::Dead);
}
