//! Real monitors with a real program as their sink: killed during a delivery, standing by, and stopped.

use std::os::unix::process::ExitStatusExt;

use homing::{FollowUpState, WakeState};
use testkit::wait_until;

use crate::monitors::{MonitorProcess, deliver_once, write_config};
use crate::recorder::Recorder;
use crate::setup::Setup;

/// A home with a recording sink, configured with that timeout.
fn setup(timeout: &str) -> (Setup, Recorder) {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, timeout);
    (setup, recorder)
}

#[test]
fn a_monitor_that_dies_during_a_delivery_leaves_the_next_to_wait_for_the_program() {
    let (setup, recorder) = setup("60s");
    recorder.answers("chat", &["gate"]);
    let id = setup.launch("chat", "exit 3");
    let monitor = MonitorProcess::start(&setup.home, "");
    recorder.wait_for(1);
    monitor.kill_9();
    let mut next = MonitorProcess::start_once(&setup.home, "");
    // It resumes the wake, and ingests another job meanwhile.
    wait_until("the next is active", || setup.homing.active_monitor().expect("the lock") == Some(next.pid()));
    let other = setup.launch("other", "true");
    setup.wait_for_acknowledged(&[other]);
    assert!(next.ended().is_none() && recorder.is_running(&"chat".parse().expect("a session")));
    assert_eq!((recorder.count(), recorder.passed()), (2, 0), "nothing is sent while the program runs");
    recorder.open_the_gate();
    setup.wait_for_acknowledged(&[id]);
    assert!(next.end().success());
    recorder.assert_no_overlap();
    let recorded: Vec<_> =
        recorder.recorded().into_iter().filter(|recorded| recorded.session == "chat").collect();
    assert_eq!((recorded.len(), recorder.passed()), (2, 1), "{recorded:#?}");
    assert_eq!((&recorded[0].wake, &recorded[0].document), (&recorded[1].wake, &recorded[1].document));
    let wakes = setup.homing.wakes_of(id).expect("wakes");
    let results: Vec<_> = wakes[0].attempts.iter().map(|attempt| attempt.result.as_deref()).collect();
    assert_eq!(results, [Some("answer_lost"), Some("delivered")]);
}

#[test]
fn a_wake_whose_answer_was_lost_is_sent_again_unchanged() {
    for point in ["sink/started", "sink/ended", "monitor/answered"] {
        let (setup, recorder) = setup("60s");
        let id = setup.launch("chat", "echo hello");
        setup.wait_for_end(&[id]);
        MonitorProcess::start_once(&setup.home, &format!("{point}=return")).crashed();
        deliver_once(&setup.home);
        let recorded = recorder.wait_for(2);
        assert_eq!(recorded.len(), 2, "{point}: {recorded:#?}");
        assert_eq!(
            (&recorded[0].wake, &recorded[0].document),
            (&recorded[1].wake, &recorded[1].document),
            "{point}"
        );
        assert_eq!([recorded[0].attempt, recorded[1].attempt], [1, 2], "{point}");
        assert_eq!(setup.state(id), FollowUpState::Acknowledged, "{point}");
        recorder.assert_no_overlap();
    }
}

#[test]
fn a_wake_with_a_recorded_answer_is_not_sent_again() {
    let (setup, recorder) = setup("60s");
    let id = setup.launch("chat", "true");
    setup.wait_for_end(&[id]);
    MonitorProcess::start_once(&setup.home, "monitor/superseded=return").crashed();
    assert_eq!(setup.state(id), FollowUpState::Acknowledged);
    deliver_once(&setup.home);
    assert_eq!(recorder.count(), 1);
}

#[test]
fn a_wake_that_was_claimed_and_never_sent_is_sent_by_the_next_monitor() {
    let (setup, recorder) = setup("60s");
    let id = setup.launch("chat", "true");
    setup.wait_for_end(&[id]);
    MonitorProcess::start_once(&setup.home, "monitor/claimed=return").crashed();
    assert_eq!((setup.state(id), recorder.count()), (FollowUpState::Pending, 0));
    deliver_once(&setup.home);
    assert_eq!((setup.state(id), recorder.count()), (FollowUpState::Acknowledged, 1));
}

#[test]
fn a_wake_is_sent_again_after_a_lost_answer_or_a_crash_of_the_sink() {
    let (setup, recorder) = setup("60s");
    recorder.answers("chat", &["lost", "crash"]);
    let id = setup.launch("chat", "true");
    let monitor = MonitorProcess::start(&setup.home, "");
    setup.wait_for_acknowledged(&[id]);
    let recorded = recorder.recorded();
    assert_eq!(recorded.iter().map(|recorded| recorded.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(recorded.iter().all(|again| again.document == recorded[0].document));
    let wakes = setup.homing.wakes_of(id).expect("wakes");
    let errors: Vec<_> = wakes[0].attempts.iter().map(|attempt| attempt.error.as_deref()).collect();
    assert_eq!(errors, [Some("exit status 1"), Some("killed by SIGKILL"), None]);
    monitor.kill_9();
}

#[test]
fn a_hanging_program_is_ended_and_its_wake_sent_again() {
    let (setup, recorder) = setup("200ms");
    recorder.answers("chat", &["hang"]);
    let id = setup.launch("chat", "true");
    let monitor = MonitorProcess::start(&setup.home, "");
    setup.wait_for_acknowledged(&[id]);
    assert_eq!(setup.home.marked(), [], "the program that hung is gone");
    let wakes = setup.homing.wakes_of(id).expect("wakes");
    let first = &wakes[0].attempts[0];
    assert_eq!(first.result.as_deref(), Some("failed"));
    assert!(first.error.as_deref().is_some_and(|error| error.contains("200ms")), "{first:?}");
    // On a slow machine it may hang more than once.
    let last = wakes[0].attempts.last().expect("an attempt");
    assert!(wakes[0].attempts.len() >= 2 && last.result.as_deref() == Some("delivered"), "{wakes:?}");
    recorder.assert_no_overlap();
    monitor.kill_9();
}

#[test]
fn a_program_that_floods_its_output_does_not_fill_the_monitor() {
    let (setup, recorder) = setup("60s");
    recorder.answers("chat", &["flood", "flood"]);
    let id = setup.launch("chat", "true");
    let monitor = MonitorProcess::start(&setup.home, "");
    setup.wait_for_acknowledged(&[id]);
    let peak = monitor.peak_memory();
    assert!(peak < 64 << 10, "{peak} KiB for two floods of 60 MB");
    let wakes = setup.homing.wakes_of(id).expect("wakes");
    assert!(wakes[0].attempts[..2].iter().all(|attempt| attempt.result.as_deref() == Some("failed")));
    assert_eq!(recorder.count(), 3);
    monitor.kill_9();
}

#[test]
fn the_second_of_two_monitors_takes_over_when_the_first_is_killed() {
    let (setup, recorder) = setup("60s");
    let first = MonitorProcess::start(&setup.home, "");
    let active = || setup.homing.active_monitor().expect("the lock can be read");
    wait_until("the first is active", || active() == Some(first.pid()));
    let second = MonitorProcess::start(&setup.home, "");
    wait_until("the second waits", || second.log().contains("waiting to take over"));
    let before = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[before]);
    assert_eq!(active(), Some(first.pid()));
    first.kill_9();
    let after = setup.launch("chat", "true");
    setup.wait_for_acknowledged(&[after]);
    assert_eq!(active(), Some(second.pid()));
    assert_eq!(
        recorder.recorded().iter().map(|recorded| recorded.jobs.clone()).collect::<Vec<_>>(),
        [[before], [after]]
    );
    second.kill_9();
}

#[test]
fn a_monitor_delivers_a_job_that_ran_entirely_before_it_started() {
    let (setup, recorder) = setup("60s");
    let id = setup.launch("chat", "exit 3");
    setup.wait_for_end(&[id]);
    wait_until("nothing of the job is left", || setup.home.processes().is_empty());
    assert_eq!((recorder.count(), setup.state(id)), (0, FollowUpState::Pending));
    let monitor = MonitorProcess::start(&setup.home, "");
    setup.wait_for_acknowledged(&[id]);
    let recorded = recorder.recorded();
    assert_eq!((recorded.len(), &recorded[0].jobs), (1, &vec![id]));
    assert_eq!(recorded[0].document["jobs"][0]["outcome"]["exit_code"], 3);
    monitor.kill_9();
}

#[test]
fn a_session_that_is_gone_is_dead_and_one_that_is_busy_uses_up_no_attempt() {
    let (setup, recorder) = setup("60s");
    recorder.answers("unknown", &["gone"]);
    recorder.answers("busy", &["busy"; 20]);
    let (unknown, busy) = (setup.launch("unknown", "true"), setup.launch("busy", "true"));
    let monitor = MonitorProcess::start(&setup.home, "");
    let dead = setup.wait_for_state(unknown, FollowUpState::Dead);
    assert_eq!(dead.follow_up.last_error.as_deref(), Some("gone: no such chat"));
    setup.wait_for_acknowledged(&[busy]);
    let recorded = recorder.recorded();
    let to_busy: Vec<_> = recorded.iter().filter(|recorded| recorded.session == "busy").collect();
    assert_eq!(to_busy.len(), 21);
    assert!(to_busy.iter().all(|recorded| recorded.attempt == 1 && recorded.wake == to_busy[0].wake));
    assert_eq!(recorded.len(), 22, "a gone session gets one attempt");
    monitor.kill_9();
}

#[test]
fn a_monitor_that_is_stopped_during_a_delivery_finishes_it() {
    let (setup, recorder) = setup("60s");
    recorder.answers("chat", &["gate"]);
    let id = setup.launch("chat", "true");
    let monitor = MonitorProcess::start(&setup.home, "");
    recorder.wait_for(1);
    monitor.terminate();
    wait_until("it received the signal", || monitor.log().contains("stopping"));
    // The next monitor delivers jobs that finish now.
    let later = setup.launch("other", "true");
    setup.wait_for_end(&[later]);
    recorder.open_the_gate();
    let status = monitor.end();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert_eq!(setup.state(id), FollowUpState::Acknowledged);
    assert_eq!(setup.homing.wakes_of(id).expect("wakes")[0].state, WakeState::Delivered);
    assert_eq!((setup.state(later), recorder.count()), (FollowUpState::Pending, 1));
}
