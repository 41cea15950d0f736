//! Events over crashes, rebuilt and replaced ledgers, and several processes: an event is recorded once and with its
//! change, and a reader is notified of what it has missed.

use std::collections::HashMap;
use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homing::core::LostReason;
use homing::{
    Actor, ActorKind, Event, EventCursor, EventKind, EventOptions, EventWatch, FollowUpState, Homing, JobId,
    JobSpec, KilledBy, Outcome, RecoverOptions,
};
use rustix::event::{PollFd, PollFlags, poll};
use testkit::{WAIT_TIMEOUT, wait_until};

use crate::ledger::write_back_the_log;
use crate::setup::{Setup, kill_9, open};

fn after(cursor: EventCursor) -> EventOptions {
    EventOptions { since: Some(cursor), ..EventOptions::default() }
}

/// All events that are kept.
fn all(homing: &Homing) -> Vec<Event> {
    homing.events_since(&after(EventCursor::oldest())).expect("events").events
}

/// The types of the events of a job.
fn types_of(events: &[Event], job: JobId) -> Vec<&'static str> {
    events.iter().filter(|event| event.job == Some(job)).map(|event| event.event.name()).collect()
}

/// Where a process dies: before a transaction is committed, and right after.
const POINTS: [&str; 2] = ["ledger/before_commit", "ledger/after_commit"];

/// Runs the program until it survives. It dies at the first commit, then at the second one, and so on.
fn run_through_crashes(setup: &Setup, arguments: &[&str], point: &str) {
    for commits in 0.. {
        assert!(commits < 50, "it never ends: {arguments:?}");
        let when = if commits == 0 { "return".to_owned() } else { format!("{commits}*off->return") };
        let output = setup
            .program()
            .args(arguments)
            .env("FAILPOINTS", format!("{point}={when}"))
            .output()
            .expect("the program runs");
        // What it had to delete may be gone since it died.
        let is_done = arguments[0] == "rm" && output.status.code() == Some(3);
        if output.status.success() || is_done {
            return;
        }
        assert_eq!(output.status.code(), None, "it was killed, not refused: {output:#?}");
    }
}

#[test]
fn every_change_is_recorded_once_wherever_the_process_dies() {
    for point in POINTS {
        let setup = Setup::new();
        let job = setup.launch("exit 3").id;
        let held = setup.launch_spec(setup.script("exec sleep MARK").key("night".parse().expect("a key"))).id;
        let id = job.to_string();
        wait_until("it has finished", || setup.homing.is_finished(job).expect("it can be observed"));
        for arguments in [
            vec!["list"],
            vec!["ack", &id],
            vec!["retry", &id],
            vec!["drop", &id],
            vec!["monitor", "--once", "--command", "true"],
            vec!["kill", held.as_str()],
            vec!["rm", &id, held.as_str()],
        ] {
            run_through_crashes(&setup, &arguments, point);
        }
        let events = all(&setup.homing);
        assert_eq!(
            types_of(&events, job),
            [
                "job.seen",
                "job.started",
                "job.finished",
                "follow_up.pending",
                "follow_up.acknowledged",
                "follow_up.pending",
                "follow_up.suppressed",
                "job.removed"
            ],
            "{point}"
        );
        // A process that dies before it has asked leaves no request, and may be repeated.
        let mut of_held = types_of(&events, held);
        of_held.retain(|name| *name != "job.kill_requested");
        let expected = ["job.seen", "job.started", "job.finished", "follow_up.suppressed", "job.removed"];
        assert_eq!(of_held, expected, "{point}");
        // Monitors that died are found by the next one.
        let monitors: Vec<&EventKind> = events
            .iter()
            .map(|event| &event.event)
            .filter(|kind| kind.name().starts_with("monitor."))
            .collect();
        for (number, kind) in monitors.iter().enumerate() {
            let expected = if number % 2 == 0 { "monitor.started" } else { "monitor.ended" };
            assert_eq!(kind.name(), expected, "{point}: {monitors:#?}");
        }
        assert_eq!(monitors.last(), Some(&&EventKind::MonitorEnded { clean: true }), "{point}");
    }
}

#[test]
fn wakes_are_recorded_once_wherever_the_monitor_dies() {
    for point in POINTS {
        let setup = Setup::new();
        let job = setup.run("exit 3").id;
        run_through_crashes(&setup, &["monitor", "--once", "--command", "true"], point);
        let job = setup.homing.get(job).expect("it is known");
        assert_eq!(job.follow_up.state, FollowUpState::Acknowledged);
        let events = all(&setup.homing);
        assert_eq!(
            types_of(&events, job.id),
            ["job.seen", "job.started", "job.finished", "follow_up.pending", "follow_up.acknowledged"],
            "{point}"
        );
        // The log has every attempt of the history of the wake.
        let wakes = setup.homing.wakes_of(job.id).expect("wakes");
        let [wake] = &wakes[..] else { panic!("{point}: {wakes:#?}") };
        let attempts: Vec<u32> = events
            .iter()
            .filter_map(|event| match &event.event {
                EventKind::Wake { state: homing::WakeState::InFlight, attempt, .. } => *attempt,
                _ => None,
            })
            .collect();
        let recorded: Vec<u32> = wake.attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(attempts, recorded, "{point}");
        let last = events.iter().rfind(|event| event.wake == Some(wake.id)).expect("events of the wake");
        assert_eq!(last.event.name(), "wake.delivered", "{point}");
        assert_eq!(last.actor.kind, ActorKind::Monitor, "{point}");
    }
}

#[test]
fn the_actor_of_a_change_is_named() {
    let setup = Setup::new();
    let begin = setup.homing.events_since(&EventOptions::default()).expect("events").next;
    let session: homing::SessionId = "chat-1".parse().expect("a session");
    let [by_session, by_operator, by_signal, lost] =
        [(); 4].map(|()| setup.launch_spec(setup.script("exec sleep MARK").session(session.clone())).id);
    setup.wait_for_marked(4);
    setup.homing.kill(by_session, KilledBy::Session).expect("it ends");
    let phone = setup.homing.with_actor(Actor::token("phone"));
    phone.kill(by_operator, KilledBy::Operator).expect("it ends");
    // It has finished: nobody asks it any more.
    phone.kill(by_operator, KilledBy::Operator).expect("it has ended");
    let supervisor = setup.supervisor(by_signal).pid;
    let pid = rustix::process::Pid::from_raw(i32::try_from(supervisor).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it can be signalled");
    kill_9(setup.supervisor(lost).pid);
    setup.end_of(by_signal);
    setup.recovered_end_of(lost);
    let server = setup.homing.with_actor(Actor::token("laptop"));
    server.acknowledge(&[by_operator]).expect("it has finished");
    let dropped = setup.program().args(["drop", by_signal.as_str()]).env("HOMING_SESSION", "chat-2").output();
    assert!(dropped.expect("the program runs").status.success());

    let events = setup.homing.events_since(&after(begin)).expect("events").events;
    let actor = |job: JobId, name: &str| {
        let found = events.iter().rfind(|event| event.job == Some(job) && event.event.name() == name);
        found.unwrap_or_else(|| panic!("{name} of {job}: {events:#?}")).actor.clone()
    };
    let own_pid = Some(std::process::id());
    let seen = actor(by_session, "job.seen");
    assert_eq!((seen.kind, seen.session.as_ref()), (ActorKind::Session, Some(&session)));
    let started = actor(by_session, "job.started");
    assert_eq!((started.kind, started.pid.is_some()), (ActorKind::Supervisor, true));
    let killed = actor(by_session, "job.finished");
    assert_eq!((killed.kind, killed.session, killed.pid), (ActorKind::Session, Some(session), None));
    assert_eq!(actor(by_session, "follow_up.suppressed").kind, ActorKind::Session);
    let requested = actor(by_session, "job.kill_requested");
    assert_eq!((requested.kind, requested.pid), (ActorKind::Process, own_pid));
    let requested = actor(by_operator, "job.kill_requested");
    assert_eq!((requested.kind, requested.token.as_deref()), (ActorKind::Token, Some("phone")));
    assert!(!types_of(&events, by_signal).contains(&"job.kill_requested"));
    assert_eq!(actor(by_operator, "job.finished").kind, ActorKind::Operator);
    assert_eq!(actor(by_signal, "job.finished").kind, ActorKind::Outside);
    let concluded = actor(lost, "job.finished");
    assert_eq!((concluded.kind, concluded.pid), (ActorKind::Process, own_pid));
    let acknowledged = actor(by_operator, "follow_up.acknowledged");
    assert_eq!((acknowledged.kind, acknowledged.pid), (ActorKind::Token, own_pid));
    assert_eq!(acknowledged.token.as_deref(), Some("laptop"));
    let dropped = actor(by_signal, "follow_up.suppressed");
    assert_eq!((dropped.kind, dropped.program.as_deref()), (ActorKind::Process, Some("homing")));
    assert_eq!(dropped.session.map(String::from).as_deref(), Some("chat-2"));
    assert!(dropped.pid.is_some() && dropped.pid != own_pid);
    assert_eq!(dropped.uid, Some(rustix::process::geteuid().as_raw()));
}

/// A job whose supervisor starts only after another process has concluded that it never will. Returns its id.
fn reported_lost(setup: &Setup, script: &str) -> JobId {
    let crash =
        setup.program().args(["run", script]).env("FAILPOINTS", "launch/inbox_entry_made=return").output();
    assert!(!crash.expect("the program starts").status.success());
    let list = setup.program().arg("list").env("FAILPOINTS", "start_grace=return(0)").output();
    assert!(list.expect("the program runs").status.success());
    let id = all(&setup.homing)[0].job.expect("a job");
    setup.homing.acknowledge(&[id]).expect("its session has read that it is lost");
    id
}

const LOST: [&str; 4] = ["job.seen", "job.finished", "follow_up.pending", "follow_up.acknowledged"];

#[test]
fn a_loss_that_is_corrected_is_an_event() {
    let setup = Setup::new();
    let id = reported_lost(&setup, "exit 3");
    let late = setup.program().arg("__supervise").arg(setup.homing.job_path(id)).output();
    assert!(late.expect("the program runs").status.success());
    let events = all(&setup.homing);
    let corrected = ["job.started", "job.corrected", "follow_up.pending"];
    assert_eq!(types_of(&events, id), [&LOST[..], &corrected].concat());
    let outcome = Some(Outcome::Exited { exit_code: 3 });
    assert!(events.iter().any(|event| event.event == EventKind::JobCorrected { outcome: outcome.clone() }));
}

#[test]
fn a_job_that_was_reported_lost_and_runs_is_an_event() {
    let setup = Setup::new();
    let go = setup.scratch("go");
    let id = reported_lost(&setup, &format!("until [ -e {} ]; do sleep 0.01; done", go.display()));
    let mut late = setup.program();
    let mut late = late.arg("__supervise").arg(setup.homing.job_path(id)).spawn().expect("it starts");
    let started = [&LOST[..], &["job.started", "job.corrected", "follow_up.waiting"]].concat();
    let not_started = [&LOST[..], &["job.corrected", "follow_up.waiting", "job.started"]].concat();
    // Its supervisor may be observed before the main process has started.
    let mut runs = Vec::new();
    wait_until("it is seen to run", || {
        // Only this observes a job again that was reported to have ended.
        setup.homing.full_scan().expect("a scan");
        runs = types_of(&all(&setup.homing), id);
        runs == started || runs == not_started
    });
    fs::write(go, "").expect("a file");
    late.wait().expect("it ends");
    let events = all(&setup.homing);
    assert_eq!(types_of(&events, id), [&runs[..], &["job.finished", "follow_up.pending"]].concat());
    assert!(events.iter().any(|event| event.event == EventKind::JobCorrected { outcome: None }));
}

#[test]
fn a_job_whose_directory_was_removed_finishes_and_is_deleted() {
    let setup = Setup::new();
    let id = setup.launch("exec sleep MARK").id;
    setup.homing.sync().expect("it is seen");
    fs::remove_dir_all(setup.homing.job_path(id)).expect("it is removed");
    wait_until("its supervisor has ended it", || setup.home.processes().is_empty());
    setup.homing.sync().expect("it is noticed");
    setup.homing.drop_follow_ups(&[id]).expect("nobody needs it");
    setup.homing.prune(Duration::ZERO).expect("it can be pruned");
    let events = all(&setup.homing);
    let expected = [
        "job.seen",
        "job.started",
        "job.finished",
        "follow_up.pending",
        "follow_up.suppressed",
        "job.removed",
    ];
    assert_eq!(types_of(&events, id), expected);
    let finished = events.iter().find(|event| event.event.name() == "job.finished").expect("the event");
    let outcome = Outcome::Lost { reason: LostReason::Removed };
    assert_eq!(finished.event, EventKind::JobFinished { outcome });
}

#[test]
fn a_key_that_is_used_again_removes_the_job_before_it() {
    let setup = Setup::new();
    let spec = || JobSpec::script("true").expect("a script").key("nightly".parse().expect("a key"));
    let id = setup.launch_spec(spec()).id;
    setup.end_of(id);
    // As a restored backup of the home without this job.
    fs::remove_dir_all(setup.homing.job_path(id)).expect("it is removed");
    assert_eq!(setup.launch_spec(spec()).id, id);
    setup.end_of(id);
    let events = all(&setup.homing);
    let of_one = ["job.seen", "job.started", "job.finished", "follow_up.pending"];
    assert_eq!(types_of(&events, id), [&of_one[..], &["job.removed"], &of_one[..]].concat());
}

#[test]
fn a_rebuilt_ledger_is_announced_to_a_reader() {
    let setup = Setup::new();
    let id = setup.run("exit 3").id;
    setup.homing.acknowledge(&[id]).expect("it has finished");
    let before = setup.homing.events_since(&EventOptions::default()).expect("events").next;
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(setup.home.path().join(format!("ledger.db{suffix}")));
    }
    let page = setup.homing.events_since(&after(before)).expect("events");
    assert!(page.truncated);
    assert_eq!(
        types_of(&page.events, id),
        ["job.seen", "job.started", "job.finished", "follow_up.pending"],
        "the ledger has forgotten the acknowledgement"
    );
    let next = setup.homing.events_since(&after(page.next)).expect("events");
    assert!(!next.truncated && next.events.is_empty());
}

#[test]
fn an_older_ledger_is_announced_to_a_reader() {
    for in_place in [false, true] {
        let setup = Setup::new();
        setup.run("exit 1");
        setup.homing.sync().expect("it is seen");
        write_back_the_log(&setup.home);
        let (ledger, backup) = (setup.home.path().join("ledger.db"), setup.scratch("backup"));
        fs::copy(&ledger, &backup).expect("a copy");
        let missed = setup.run("exit 2").id;
        let before = setup.homing.events_since(&EventOptions::default()).expect("events").next;
        write_back_the_log(&setup.home);
        if in_place {
            fs::write(&ledger, fs::read(&backup).expect("the copy")).expect("it is written");
        } else {
            fs::rename(&backup, &ledger).expect("it is put there");
        }
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(setup.home.path().join(format!("ledger.db{suffix}")));
        }
        for homing in [&open(&setup.home, WAIT_TIMEOUT), &setup.homing] {
            let page = homing.events_since(&after(before)).expect("events");
            assert!(page.truncated, "in place: {in_place}");
            assert_eq!(
                types_of(&page.events, missed),
                ["job.seen", "job.started", "job.finished", "follow_up.pending"],
                "in place: {in_place}"
            );
            let cursors: Vec<_> = page.events.iter().map(|event| event.cursor).collect();
            assert!(!cursors.contains(&before), "no cursor means two events");
        }
    }
}

fn is_readable_within(watch: &EventWatch, time: Duration) -> bool {
    let (source, time) = (watch.readable(), time.try_into().expect("a short time"));
    poll(&mut [PollFd::new(&source, PollFlags::IN)], Some(&time)).expect("it is asked") == 1
}

#[test]
fn a_follower_learns_that_its_home_was_moved() {
    let setup = Setup::new();
    let mut watch = setup.homing.watch_events(EventOptions::default()).expect("a watch");
    assert!(watch.next_page().expect("events").events.is_empty());
    assert!(!is_readable_within(&watch, Duration::from_millis(100)));
    let moved = setup.scratch("moved");
    fs::rename(setup.home.path(), &moved).expect("it is moved");
    assert!(is_readable_within(&watch, WAIT_TIMEOUT));
    let error = watch.next_page().expect_err("its home is not there");
    assert_eq!(error.code(), "home_replaced", "{error}");
    fs::rename(&moved, setup.home.path()).expect("it is moved back");
    watch.next_page().expect("events");
}

/// Reads pages until `is_enough`, waiting for the watch in between.
fn follow(homing: &Homing, since: EventCursor, mut is_enough: impl FnMut(&[Event]) -> bool) -> Vec<Event> {
    let mut watch = homing.watch_events(after(since)).expect("a watch");
    let mut events = Vec::new();
    loop {
        let page = watch.next_page().expect("events");
        assert!(!page.truncated, "nothing was deleted");
        events.extend(page.events);
        if is_enough(&events) {
            return events;
        }
        if !page.has_more {
            assert!(is_readable_within(&watch, WAIT_TIMEOUT), "no event came: {events:#?}");
        }
    }
}

#[test]
fn followers_in_several_processes_see_the_same_events_in_the_same_order() {
    let setup = Setup::new();
    let begin = setup.homing.events_since(&EventOptions::default()).expect("events").next;
    let is_done = AtomicBool::new(false);
    let finished = |events: &[Event]| {
        events.iter().filter(|event| event.event.name() == "follow_up.acknowledged").count() == 20
    };
    let jobs: Vec<JobId> = std::thread::scope(|scope| {
        let followers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| follow(&open(&setup.home, WAIT_TIMEOUT), begin, finished)))
            .collect();
        // Other processes ingest at the same time.
        let programs = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let listed = setup.program().arg("list").output().expect("the program runs");
                assert!(listed.status.success(), "{listed:#?}");
            }
        });
        let jobs: Vec<JobId> = (0..20).map(|code| setup.launch(&format!("exit {code}")).id).collect();
        for job in &jobs {
            setup.end_of(*job);
            setup.homing.acknowledge(&[*job]).expect("it has finished");
        }
        let seen: Vec<Vec<Event>> =
            followers.into_iter().map(|follower| follower.join().expect("it follows")).collect();
        is_done.store(true, Ordering::Relaxed);
        programs.join().expect("they run");
        let as_text = |events: &Vec<Event>| serde_json::to_string(events).expect("documents");
        assert_eq!(as_text(&seen[0]), as_text(&seen[1]));
        assert_eq!(as_text(&seen[0]), as_text(&seen[2]));
        let mut by_job: HashMap<JobId, Vec<&str>> = HashMap::new();
        for event in &seen[0] {
            by_job.entry(event.job.expect("a job")).or_default().push(event.event.name());
        }
        for job in &jobs {
            let expected =
                ["job.seen", "job.started", "job.finished", "follow_up.pending", "follow_up.acknowledged"];
            assert_eq!(by_job[job], expected);
        }
        jobs
    });
    assert_eq!(jobs.len(), 20);
}

#[test]
fn a_follower_without_a_monitor_sees_the_end_of_a_job_whose_supervisor_is_killed() {
    let setup = Setup::new();
    let begin = setup.homing.events_since(&EventOptions::default()).expect("events").next;
    let id = setup.launch("exec sleep MARK").id;
    let follower = open(&setup.home, WAIT_TIMEOUT);
    let has =
        |name: &'static str| move |events: &[Event]| events.iter().any(|event| event.event.name() == name);
    let begun = follow(&follower, begin, has("job.started"));
    std::thread::scope(|scope| {
        let last = begun.last().expect("an event").cursor;
        let following = scope.spawn(move || follow(&follower, last, has("job.finished")));
        kill_9(setup.supervisor(id).pid);
        let events = following.join().expect("it follows");
        let outcome = Outcome::Lost { reason: LostReason::SupervisorDied };
        assert_eq!(events[0].event, EventKind::JobFinished { outcome });
    });
    setup.homing.recover(RecoverOptions::default()).expect("it is recovered");
}

#[test]
fn a_follower_does_not_wake_up_while_nothing_happens() {
    let setup = Setup::new();
    let id = setup.launch("exec sleep MARK").id;
    let mut watch = setup.homing.watch_events(EventOptions::default()).expect("a watch");
    // Its own work may have woken it up.
    wait_until("it is up to date", || {
        watch.next_page().expect("events").events.is_empty()
            && !is_readable_within(&watch, Duration::from_millis(50))
    });
    assert!(!is_readable_within(&watch, Duration::from_secs(1)), "it woke up");
    setup.homing.kill(id, KilledBy::Operator).expect("it ends");
}

#[test]
fn the_successor_of_a_killed_monitor_records_its_end() {
    let setup = Setup::new();
    let mut monitor = setup.program().arg("monitor").stderr(Stdio::null()).spawn().expect("it starts");
    let started = |events: &[Event]| events.iter().any(|event| event.event == EventKind::MonitorStarted);
    wait_until("it is active", || started(&all(&setup.homing)));
    kill_9(monitor.id());
    monitor.wait().expect("it is gone");
    let once = setup.program().args(["monitor", "--once"]).output().expect("the program runs");
    assert!(once.status.success(), "{once:#?}");
    let events = all(&setup.homing);
    let seen: Vec<(&EventKind, bool)> = events
        .iter()
        .filter(|event| event.event.name().starts_with("monitor."))
        .map(|event| (&event.event, event.actor.pid == Some(monitor.id())))
        .collect();
    let expected = [
        (&EventKind::MonitorStarted, true),
        (&EventKind::MonitorEnded { clean: false }, true),
        (&EventKind::MonitorStarted, false),
        (&EventKind::MonitorEnded { clean: true }, false),
    ];
    assert_eq!(seen, expected);
    assert!(events.iter().all(|event| event.actor.kind == ActorKind::Monitor && event.session.is_none()));
}
