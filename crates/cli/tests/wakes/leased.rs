//! Hosts that lease wakes and deliver them themselves, in competition with monitors, hooks and other hosts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use homing::{
    Claimant, Delivery, FollowUpState, Homing, JobId, LeaseId, LeaseLoss, LeaseOptions, LeasedWake, Sink,
    Wake, WakeId, WakeOptions, WakeRecord, WakeState,
};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use testkit::{WAIT_TIMEOUT, wait_until};

use crate::setup::{Answer, PROGRAM, ScriptedSink, Setup, open, quick};

fn at_once() -> LeaseOptions {
    LeaseOptions::new("host")
}

fn patient() -> LeaseOptions {
    LeaseOptions { wait: WAIT_TIMEOUT, ..LeaseOptions::new("host") }
}

fn lease(homing: &Homing, options: &LeaseOptions) -> Option<LeasedWake> {
    homing.lease_wake(&"chat".parse().expect("a session"), options).expect("the ledger")
}

fn answer(homing: &Homing, leased: &LeasedWake, delivery: Delivery) {
    homing.answer_lease(leased.wake.id, leased.lease.id, delivery).expect("it has the lease");
}

fn busy_for(retry_after: Duration) -> Delivery {
    Delivery::Busy { retry_after: Some(retry_after), reason: "a turn is running".to_owned() }
}

fn failed() -> Delivery {
    Delivery::Failed { error: "the agent is offline".to_owned() }
}

#[track_caller]
fn loss(homing: &Homing, wake: WakeId, lease: LeaseId, delivery: Delivery) -> LeaseLoss {
    match homing.answer_lease(wake, lease, delivery) {
        Err(error @ homing::Error::LeaseLost { loss, .. }) => {
            assert_eq!(error.code(), "lease_lost");
            assert!(error.hint().is_some());
            loss
        }
        other => panic!("{other:?}"),
    }
}

/// Lets the leases of all wakes expire, as if their time had passed.
fn expire(setup: &Setup) {
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    let changed = ledger.execute("UPDATE wakes SET lease_expires_at = 0 WHERE lease IS NOT NULL", []);
    assert_eq!(changed.expect("a wake"), 1);
}

/// Waits until a caller that waits for results of the job holds back the monitor.
#[track_caller]
fn await_reservation(setup: &Setup, job: JobId) {
    let spec = setup.homing.job_path(job).join("spec.json");
    wait_until("the monitor is held back", || {
        let spec = std::fs::File::open(&spec).expect("a job");
        flock(&spec, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    });
}

fn only_wake(setup: &Setup, job: JobId) -> WakeRecord {
    let wakes = setup.homing.wakes_of(job).expect("the ledger");
    let [wake] = wakes.try_into().expect("one wake");
    wake
}

fn results(wake: &WakeRecord) -> Vec<Option<&str>> {
    wake.attempts.iter().map(|attempt| attempt.result.as_deref()).collect()
}

/// How often hosts, hooks and the monitor compete.
const ROUNDS: usize = 60;

/// A sink that checks that no host delivers to the session at the same time.
struct TurnSink {
    sink: ScriptedSink,
    turn: Arc<Mutex<()>>,
}

impl Sink for TurnSink {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let _turn = begin_turn(&self.turn);
        self.sink.deliver(wake)
    }
}

/// The turn of the session.
///
/// # Panics
/// If another delivery runs.
fn begin_turn(turn: &Mutex<()>) -> std::sync::MutexGuard<'_, ()> {
    match turn.try_lock() {
        Ok(turn) => turn,
        Err(TryLockError::WouldBlock) => panic!("two deliveries at a time"),
        Err(TryLockError::Poisoned(_)) => panic!("another delivery has failed"),
    }
}

#[test]
fn hosts_hooks_and_monitor_deliver_every_job_once_and_one_at_a_time() {
    let setup = Setup::new();
    let turn: Arc<Mutex<()>> = Arc::default();
    let sink = TurnSink { sink: setup.sink.clone(), turn: Arc::clone(&turn) };
    let monitor = setup.start(setup.options().sink("scripted", sink));
    let delivered: Arc<Mutex<HashMap<JobId, usize>>> = Arc::default();
    let count = |delivered: &Mutex<HashMap<JobId, usize>>, wake: &Wake| {
        let mut delivered = delivered.lock().expect("no thread panics");
        wake.content.job_ids.iter().for_each(|job| *delivered.entry(*job).or_default() += 1);
    };
    let finished = Arc::new(AtomicBool::new(false));
    let hosts = (0..3).map(|number| {
        let (turn, delivered, finished) = (Arc::clone(&turn), Arc::clone(&delivered), Arc::clone(&finished));
        // Each with its own connection to the ledger, as in its own process. One of them polls.
        let homing = open(&setup.home, quick());
        let wait = Duration::from_millis(if number == 0 { 0 } else { 200 });
        std::thread::spawn(move || {
            let options = LeaseOptions { wait, ..LeaseOptions::new(format!("host-{number}")) };
            let mut leases = 0;
            while !finished.load(Ordering::Relaxed) {
                let Some(leased) = lease(&homing, &options) else { continue };
                let in_turn = begin_turn(&turn);
                count(&delivered, &leased.wake);
                drop(in_turn);
                answer(&homing, &leased, Delivery::Delivered);
                leases += 1;
            }
            leases
        })
    });
    let hosts: Vec<_> = hosts.collect();
    let hook = {
        let (homing, delivered, finished) =
            (setup.homing.clone(), Arc::clone(&delivered), Arc::clone(&finished));
        std::thread::spawn(move || {
            let session = "chat".parse().expect("a session");
            let claimant = Claimant { session, harness: Some("claude-code".to_owned()) };
            while !finished.load(Ordering::Relaxed) {
                let Some(wake) = homing.claim_wake(&claimant).expect("the ledger") else { continue };
                count(&delivered, &wake);
                homing.confirm_wake(&wake).expect("it is confirmed");
            }
        })
    };
    for _ in 0..ROUNDS {
        // Two at once, so that one is undelivered while the other is being delivered.
        let jobs = [setup.launch("chat", "true"), setup.launch("chat", "true")];
        setup.wait_for_acknowledged(&jobs);
    }
    finished.store(true, Ordering::Relaxed);
    let leases: Vec<u32> = hosts.into_iter().map(|host| host.join().expect("it ends")).collect();
    hook.join().expect("it ends");
    monitor.stop();
    let mut by_all = delivered.lock().expect("no thread panics").clone();
    setup.sink.received().iter().flat_map(|received| &received.jobs).for_each(|job| {
        *by_all.entry(*job).or_default() += 1;
    });
    assert!(by_all.values().all(|times| *times == 1), "{by_all:?}");
    assert_eq!(by_all.len(), 2 * ROUNDS);
    assert!(leases.iter().sum::<u32>() > 0, "the hosts take part: {leases:?}");
}

#[test]
fn a_session_without_a_route_is_delivered_by_a_host_alone() {
    let setup = Setup::new();
    let jobs = [setup.launch("chat", "echo one-1"), setup.launch("chat", "exit 3")];
    setup.wait_for_end(&jobs);
    let other = setup.launch("other", "true");
    setup.wait_for_end(&[other]);
    let leased = lease(&setup.homing, &at_once()).expect("results are due");
    let mut both = leased.wake.content.job_ids.clone();
    both.sort_unstable();
    assert!(
        jobs.iter().all(|job| both.contains(job)) && both.len() == 2,
        "{both:?}, never another session's"
    );
    assert!(leased.wake.content.text.contains("one-1"));
    let record = only_wake(&setup, jobs[0]);
    assert_eq!((record.state, record.sink.as_deref()), (WakeState::InFlight, None));
    assert_eq!(record.lease.as_ref(), Some(&leased.lease));
    assert_eq!(record.attempts[0].holder.as_deref(), Some("host"));
    assert_eq!(setup.homing.wake(leased.wake.id).expect("it is kept").id, record.id);
    assert_eq!(setup.state(jobs[0]), FollowUpState::Pending);
    assert!(lease(&setup.homing, &at_once()).is_none(), "one host has it");
    answer(&setup.homing, &leased, Delivery::Delivered);
    setup.wait_for_acknowledged(&jobs);
    let record = only_wake(&setup, jobs[0]);
    assert_eq!((record.state, record.lease.as_ref()), (WakeState::Delivered, None));
    assert_eq!(results(&record), [Some("delivered")]);
    // The host has not seen that its answer was recorded.
    answer(&setup.homing, &leased, Delivery::Delivered);
    let lost = loss(&setup.homing, leased.wake.id, leased.lease.id, failed());
    assert_eq!(lost, LeaseLoss::AnsweredBefore);
    assert!(lease(&setup.homing, &at_once()).is_none());
}

#[test]
fn an_expired_lease_is_a_failed_attempt_also_without_a_monitor() {
    let setup = Setup::new();
    let job = setup.launch("chat", "true");
    setup.wait_for_end(&[job]);
    let mut leases: Vec<LeasedWake> = Vec::new();
    // Three retries: four attempts.
    for attempt in 1..=4 {
        let leased = lease(&setup.homing, &patient()).expect("it is due after the delay");
        assert_eq!(leased.wake.attempt, attempt);
        leases.push(leased);
        expire(&setup);
    }
    let wake = leases[0].wake.id;
    assert!(leases.iter().all(|leased| leased.wake.id == wake));
    assert!(leases.iter().all(|leased| leased.wake.content.text == leases[0].wake.content.text));
    let open_wakes = || setup.homing.open_wakes(&WakeOptions::default()).expect("the ledger").wakes;
    assert_eq!(open_wakes()[0].state, WakeState::InFlight, "nobody has noticed the last one");
    assert!(lease(&setup.homing, &at_once()).is_none(), "the last attempt has failed");
    let record = only_wake(&setup, job);
    assert_eq!((record.state, results(&record)), (WakeState::Dead, vec![Some("lease_expired"); 4]));
    let error = record.last_error.expect("an error");
    assert!(error.starts_with("the lease of host expired"), "{error}");
    assert_eq!(setup.state(job), FollowUpState::Dead);
    assert_eq!(open_wakes().iter().map(|wake| wake.id).collect::<Vec<_>>(), [wake]);
    for leased in &leases {
        let lost = loss(&setup.homing, wake, leased.lease.id, Delivery::Delivered);
        assert_eq!(lost, LeaseLoss::Expired);
    }
    setup.homing.retry(&[job]).expect("it can be retried");
    assert!(open_wakes().is_empty(), "the dead wake needs no attention any more");
    let again = lease(&setup.homing, &at_once()).expect("it is due");
    assert_ne!(again.wake.id, wake);
    answer(&setup.homing, &again, Delivery::Delivered);
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
}

#[test]
fn a_late_answer_is_refused_and_ends_the_attempt() {
    let setup = Setup::new();
    let job = setup.launch("chat", "true");
    setup.wait_for_end(&[job]);
    let leased = lease(&setup.homing, &at_once()).expect("it is due");
    expire(&setup);
    let (wake, id) = (leased.wake.id, leased.lease.id);
    assert_eq!(loss(&setup.homing, wake, id, Delivery::Delivered), LeaseLoss::Expired);
    let record = only_wake(&setup, job);
    assert_eq!((record.state, results(&record)), (WakeState::Scheduled, vec![Some("lease_expired")]));
    let next = lease(&setup.homing, &patient()).expect("it is due after the delay");
    assert_eq!((next.wake.id, next.wake.attempt), (wake, 2));
    // The first host does not answer for the second one.
    assert_eq!(loss(&setup.homing, wake, id, Delivery::Delivered), LeaseLoss::Expired);
    let unknown = "l_01M8059H7VZZZZZZZZZZZZZZZZ".parse().expect("an id");
    assert_eq!(loss(&setup.homing, wake, unknown, Delivery::Delivered), LeaseLoss::NotHeld);
    let no_wake = "w_01M8059H7VZZZZZZZZZZZZZZZZ".parse().expect("an id");
    let error = setup.homing.answer_lease(no_wake, id, Delivery::Delivered).expect_err("it does not exist");
    assert_eq!(error.code(), "no_such_wake");
    assert_eq!(setup.homing.wake(no_wake).expect_err("it does not exist").code(), "no_such_wake");
    assert_eq!(setup.state(job), FollowUpState::Pending);
    answer(&setup.homing, &next, Delivery::Delivered);
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
}

#[test]
fn a_busy_session_uses_up_no_attempt_and_a_failure_is_in_the_history() {
    let setup = Setup::new();
    let job = setup.launch("chat", "true");
    setup.wait_for_end(&[job]);
    for _ in 0..10 {
        let leased = lease(&setup.homing, &patient()).expect("it is due");
        assert_eq!(leased.wake.attempt, 1);
        answer(&setup.homing, &leased, busy_for(Duration::from_millis(1)));
    }
    let leased = lease(&setup.homing, &patient()).expect("it is due");
    answer(&setup.homing, &leased, failed());
    let leased = lease(&setup.homing, &patient()).expect("it is due");
    assert_eq!(leased.wake.attempt, 2);
    answer(&setup.homing, &leased, busy_for(Duration::from_secs(3_600)));
    let record = only_wake(&setup, job);
    assert_eq!(results(&record), [Some("failed"), Some("busy")]);
    assert_eq!(record.attempts[0].error.as_deref(), Some("the agent is offline"));
    assert_eq!(record.last_error.as_deref(), Some("busy: a turn is running"));
    assert!(lease(&setup.homing, &at_once()).is_none(), "not before the time that the host named");
    // A hook of the session does not wait for that time.
    let claimant = Claimant { session: "chat".parse().expect("a session"), harness: None };
    let claimed = setup.homing.claim_wake(&claimant).expect("the ledger").expect("a wake");
    assert_eq!(claimed.id, leased.wake.id);
    setup.homing.confirm_wake(&claimed).expect("it is confirmed");
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
}

#[test]
fn a_leased_wake_holds_back_the_next_one() {
    let setup = Setup::new();
    let first = setup.launch("chat", "true");
    setup.wait_for_end(&[first]);
    let leased = lease(&setup.homing, &at_once()).expect("it is due");
    let second = setup.launch("chat", "true");
    setup.wait_for_end(&[second]);
    // Neither a monitor nor another host nor a hook.
    setup.deliver_once();
    assert!(setup.sink.received().is_empty(), "{:?}", setup.sink.received());
    assert!(lease(&open(&setup.home, quick()), &at_once()).is_none());
    let claimant = Claimant { session: "chat".parse().expect("a session"), harness: None };
    assert!(setup.homing.claim_wake(&claimant).expect("the ledger").is_none());
    // Another host waits for the end of the first delivery, which no job announces.
    let other = open(&setup.home, quick());
    let waiting = std::thread::spawn(move || {
        let leased = lease(&other, &patient()).expect("it is due once the first one is delivered");
        answer(&other, &leased, Delivery::Delivered);
        leased.wake.content.job_ids
    });
    assert_eq!(setup.state(second), FollowUpState::Pending);
    answer(&setup.homing, &leased, Delivery::Delivered);
    assert_eq!(waiting.join().expect("it ends"), [second]);
    setup.wait_for_acknowledged(&[first, second]);
}

#[test]
fn the_monitor_leaves_results_to_a_waiting_host() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let mut held = setup.hold();
    held.launch("chat", "true");
    let job = held.ids[0];
    let homing = open(&setup.home, quick());
    let waiting = std::thread::spawn(move || (lease(&homing, &patient()), homing));
    await_reservation(&setup, job);
    held.end_all();
    let (leased, homing) = waiting.join().expect("it ends");
    let leased = leased.expect("a wake");
    assert_eq!(leased.wake.content.job_ids, [job]);
    answer(&homing, &leased, Delivery::Delivered);
    setup.wait_for_acknowledged(&[job]);
    assert!(setup.sink.received().is_empty(), "{:?}", setup.sink.received());
    monitor.stop();
}

#[test]
fn a_wake_at_a_sink_cannot_be_leased_and_is_waited_for() {
    // The monitor does not use up all attempts: its last run ends when no retry is due, so a retry takes longer than an attempt.
    let retries = vec![Duration::from_millis(300); 100];
    let setup = Setup::with(homing::MonitorConfig { retries, ..quick() });
    let monitor = setup.monitor();
    setup.sink.answers("chat", [Answer::AtTheGate]);
    setup.sink.answers("chat", (0..90).map(|_| Answer::Says(failed())));
    let first = setup.launch("chat", "true");
    setup.sink.wait_for(1);
    assert!(lease(&setup.homing, &at_once()).is_none());
    setup.sink.open_the_gate();
    setup.wait_for_acknowledged(&[first]);
    monitor.stop();
    // What a sink has failed to deliver, a host can deliver.
    let second = setup.launch("chat", "true");
    setup.wait_for_end(&[second]);
    setup.deliver_once();
    let leased = lease(&setup.homing, &patient()).expect("it is due after the delay");
    assert_eq!(leased.wake.content.job_ids, [second]);
    assert!(leased.wake.attempt >= 2, "{}", leased.wake.attempt);
    answer(&setup.homing, &leased, Delivery::Delivered);
    setup.wait_for_acknowledged(&[first, second]);
}

#[test]
fn the_monitor_delivers_a_wake_whose_lease_expired_under_the_same_id() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let mut held = setup.hold();
    held.launch("chat", "echo hello");
    let job = held.ids[0];
    let homing = open(&setup.home, quick());
    let shortest = LeaseOptions { lease: Duration::from_secs(1), ..patient() };
    let waiting = std::thread::spawn(move || lease(&homing, &shortest));
    await_reservation(&setup, job);
    held.end_all();
    let leased = waiting.join().expect("it ends").expect("a wake");
    // The host never answers.
    setup.wait_for_acknowledged(&[job]);
    let received = setup.sink.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!((received[0].wake, received[0].attempt), (leased.wake.id, 2));
    assert_eq!(received[0].text, leased.wake.content.text);
    let record = only_wake(&setup, job);
    assert_eq!(results(&record), [Some("lease_expired"), Some("delivered")]);
    assert_eq!(record.sink.as_deref(), Some("scripted"), "the route is found when it is needed");
    assert!(record.attempts[1].started_at >= leased.lease.expires_at, "not before the lease has ended");
    monitor.stop();
}

#[test]
fn a_wake_without_a_sink_holds_back_no_job_that_has_one() {
    let setup = Setup::new();
    let first = setup.launch("chat", "true");
    setup.wait_for_end(&[first]);
    let leased = lease(&setup.homing, &at_once()).expect("it is due");
    answer(&setup.homing, &leased, busy_for(Duration::ZERO));
    // The monitor has no route for the session, but the second job names a sink.
    let options = || {
        homing::MonitorOptions::new()
            .sink("codex", setup.sink.clone())
            .until(homing::MonitorUntil::NothingDue)
    };
    let spec = homing::JobSpec::script("true").expect("a script").session("chat".parse().expect("a session"));
    let second = setup.homing.launch(spec.sink("codex")).expect("it is launched").id;
    setup.wait_for_end(&[second]);
    setup.homing.monitor(options()).expect("a monitor").run().expect("the monitor works");
    assert_eq!(setup.state(second), FollowUpState::Acknowledged);
    assert_eq!(setup.state(first), FollowUpState::Pending);
    let leased = lease(&setup.homing, &at_once()).expect("it waits for a host");
    assert_eq!((leased.wake.content.job_ids.clone(), leased.wake.attempt), (vec![first], 1));
    answer(&setup.homing, &leased, Delivery::Delivered);
}

#[test]
fn the_budget_holds_for_hosts() {
    let setup = Setup::with(homing::MonitorConfig { wakes_per_hour: 1, ..quick() });
    for (round, may) in [true, false].into_iter().enumerate() {
        let job = setup.launch("chat", "true");
        setup.wait_for_end(&[job]);
        let leased = lease(&setup.homing, &at_once());
        assert_eq!(leased.is_some(), may, "round {round}");
        if let Some(leased) = leased {
            answer(&setup.homing, &leased, Delivery::Delivered);
        }
    }
}

#[test]
fn acknowledging_the_results_elsewhere_frees_the_session() {
    let setup = Setup::new();
    let first = setup.launch("chat", "true");
    setup.wait_for_end(&[first]);
    let leased = lease(&setup.homing, &at_once()).expect("it is due");
    setup.homing.acknowledge(&[first]).expect("it is acknowledged");
    // The host has not finished its turn.
    let second = setup.launch("chat", "true");
    setup.wait_for_end(&[second]);
    assert!(lease(&setup.homing, &at_once()).is_none(), "one turn at a time");
    answer(&setup.homing, &leased, failed());
    assert_eq!(setup.state(first), FollowUpState::Acknowledged);
    let leased = lease(&setup.homing, &at_once()).expect("it is due");
    assert_eq!(leased.wake.content.job_ids, [second]);
    answer(&setup.homing, &leased, Delivery::HandedOff);
    assert_eq!(setup.state(second), FollowUpState::HandedOff);
}

#[test]
fn a_lease_ends_when_the_clock_is_set_back() {
    let setup = Setup::new();
    let job = setup.launch("chat", "true");
    setup.wait_for_end(&[job]);
    let leased = lease(&setup.homing, &at_once()).expect("it is due");
    // As written by a clock that was an hour ahead and has been set back since.
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    let ahead = "UPDATE wakes SET since = since + 3600000, lease_expires_at = lease_expires_at + 3600000";
    assert_eq!(ledger.execute(ahead, []).expect("a wake"), 1);
    let next = lease(&setup.homing, &patient()).expect("it is due, not an hour late");
    assert_eq!((next.wake.id, next.wake.attempt), (leased.wake.id, 2));
    // As long as nobody has noticed it, the host can answer.
    assert_eq!(ledger.execute(ahead, []).expect("a wake"), 1);
    answer(&setup.homing, &next, Delivery::Delivered);
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
}

#[test]
fn a_person_is_told_about_a_wake_that_a_host_gave_up() {
    let setup = Setup::with(homing::MonitorConfig { alert: Some("person".to_owned()), ..quick() });
    let person = ScriptedSink::default();
    // A monitor that delivers nothing: it has no route.
    let options = || homing::MonitorOptions::new().sink("person", person.clone());
    let give_up = || {
        let job = setup.launch("chat", "true");
        let leased = lease(&setup.homing, &patient()).expect("it is due");
        answer(&setup.homing, &leased, Delivery::Gone { reason: "no such chat".to_owned() });
        assert_eq!(setup.state(job), FollowUpState::Dead);
        format!("Session chat, jobs {job}: gone: no such chat")
    };
    let before = give_up();
    let monitor = setup.start(options());
    assert!(person.wait_for(1)[0].text.contains(&before), "also before the monitor started");
    let during = give_up();
    let alerts = person.wait_for(2);
    assert!(alerts[1].text.contains(&during) && !alerts[1].text.contains(&before), "{alerts:?}");
    monitor.stop();
    // Another monitor does not repeat the alerts.
    setup.start(options().until(homing::MonitorUntil::NothingDue)).end();
    assert_eq!(person.received().len(), 2);
}

#[test]
fn invalid_options_are_refused_before_anything_is_leased() {
    let setup = Setup::new();
    let job = setup.launch("chat", "true");
    setup.wait_for_end(&[job]);
    let session = "chat".parse().expect("a session");
    for options in [
        LeaseOptions { lease: Duration::from_millis(999), ..at_once() },
        LeaseOptions { lease: Duration::from_secs(3_601), ..at_once() },
        LeaseOptions::new(""),
        LeaseOptions::new("a\u{1b}[2J"),
    ] {
        let error = setup.homing.lease_wake(&session, &options).expect_err("it is invalid");
        assert_eq!(error.code(), "invalid_request", "{options:?}");
    }
    assert!(setup.homing.wakes_of(job).expect("the ledger").is_empty());
}

/// The variables of [`leases_as_a_process`]: the home, and how long a lease lasts, in seconds.
const HOST_HOME: &str = "HOMING_TEST_HOST_HOME";
const HOST_LEASE: &str = "HOMING_TEST_HOST_LEASE";

/// A host in a process of its own.
struct HostProcess {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl HostProcess {
    fn start(setup: &Setup, lease_seconds: u64) -> HostProcess {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "leased::leases_as_a_process", "--nocapture"]);
        command.env(HOST_HOME, setup.home.path()).env(HOST_LEASE, lease_seconds.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        HostProcess { child, lines }
    }

    /// The ids of the next wake that it leases, and of the lease.
    fn leased(&mut self) -> (WakeId, LeaseId) {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).expect("text") > 0, "the host has ended");
            // The test program may print its own text before it.
            let ids = line.trim().split_once("leased: ").and_then(|(_, ids)| ids.split_once(' '));
            if let Some((wake, lease)) = ids {
                return (wake.parse().expect("an id"), lease.parse().expect("an id"));
            }
        }
    }

    fn acknowledge(&mut self) {
        self.child.stdin.as_mut().expect("it is open").write_all(b"acknowledge\n").expect("it listens");
    }

    fn kill_9(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is our child");
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the process of [`HostProcess`]. Prints what it leases, and acknowledges a wake for each line of its standard
/// input, until that ends.
#[test]
fn leases_as_a_process() {
    let Some(home) = std::env::var_os(HOST_HOME) else { return };
    let seconds = std::env::var(HOST_LEASE).expect("a time").parse().expect("a number");
    let config = homing::Config { monitor: quick(), ..homing::Config::default() };
    let homing = homing::OpenOptions::new().home(home).config(config).supervisor(PROGRAM);
    let homing = homing.open().expect("the home opens");
    let options = LeaseOptions {
        lease: Duration::from_secs(seconds),
        holder: format!("host-{}", std::process::id()),
        ..patient()
    };
    let mut lines = std::io::stdin().lines();
    while let Some(leased) = lease(&homing, &options) {
        println!("leased: {} {}", leased.wake.id, leased.lease.id);
        let Some(line) = lines.next() else { return };
        assert_eq!(line.expect("text"), "acknowledge");
        answer(&homing, &leased, Delivery::Delivered);
    }
}

#[test]
fn the_lease_of_a_killed_host_goes_to_another_one_after_it_expires() {
    let setup = Setup::new();
    let (one, other) = (HostProcess::start(&setup, 2), HostProcess::start(&setup, 2));
    let job = setup.launch("chat", "true");
    // Both wait for the job. One of them gets it.
    wait_until("a host has it", || {
        setup.homing.wakes_of(job).expect("the ledger").iter().any(|wake| wake.lease.is_some())
    });
    let first = only_wake(&setup, job).lease.expect("a lease");
    let (holder, mut next) =
        if first.holder == format!("host-{}", one.child.id()) { (one, other) } else { (other, one) };
    assert_eq!(first.holder, format!("host-{}", holder.child.id()));
    holder.kill_9();
    let (wake, lease) = next.leased();
    let record = only_wake(&setup, job);
    assert_eq!((record.id, record.lease.as_ref().map(|lease| lease.id)), (wake, Some(lease)));
    assert_eq!(results(&record), [Some("lease_expired"), None]);
    assert!(record.attempts[1].started_at >= first.expires_at, "not before the lease has ended: {record:?}");
    next.acknowledge();
    setup.wait_for_acknowledged(&[job]);
    next.kill_9();
}

#[cfg(feature = "mcp")]
mod on_tokio {
    use super::*;

    #[tokio::test]
    async fn a_wait_holds_no_thread_and_ends_with_the_job_or_after_its_time() {
        let setup = Setup::new();
        let session: homing::SessionId = "chat".parse().expect("a session");
        let short = LeaseOptions { wait: Duration::from_millis(20), ..at_once() };
        let nothing = setup.homing.lease_wake_async(&session, &short).await.expect("the ledger");
        assert!(nothing.is_none());
        let mut held = setup.hold();
        held.launch("chat", "echo hello");
        let options = patient();
        // More waits than this runtime has threads. One of them gets the wake.
        let waits = (0..4).map(|_| Box::pin(setup.homing.lease_wake_async(&session, &options)));
        let waits = futures_util::future::select_all(waits);
        let (leased, ..) = tokio::join!(waits, async { held.end_all() }).0;
        let leased = leased.expect("the ledger").expect("a wake");
        assert!(leased.wake.content.text.contains("hello"));
        answer(&setup.homing, &leased, Delivery::Delivered);
        setup.wait_for_acknowledged(&leased.wake.content.job_ids);
    }

    #[tokio::test]
    async fn a_dropped_wait_gives_back_what_it_leased() {
        let setup = Setup::new();
        let job = setup.launch("chat", "true");
        setup.wait_for_end(&[job]);
        let session: homing::SessionId = "chat".parse().expect("a session");
        let options = patient();
        let mut wait = Box::pin(setup.homing.lease_wake_async(&session, &options));
        // The first poll starts an attempt on another thread, and leaves it alone.
        assert!(futures_util::poll!(&mut wait).is_pending());
        drop(wait);
        wait_until("it is given back", || {
            let wakes = setup.homing.wakes_of(job).expect("the ledger");
            wakes.iter().any(|wake| wake.last_error.as_deref() == Some("busy: the host stopped waiting"))
        });
        let leased = lease(&setup.homing, &patient()).expect("it is due at once");
        assert_eq!(leased.wake.attempt, 1, "no attempt is used up");
        answer(&setup.homing, &leased, Delivery::Delivered);
    }
}
