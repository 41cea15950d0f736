//! Kills monitors at every named point and in between, while their sink misbehaves: every result is still delivered
//! to its own session, in order, one wake at a time.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use homing::{FollowUpState, JobId};
use testkit::wait_until;

use crate::monitors::{MonitorProcess, deliver_once, write_config};
use crate::recorder::{Recorded, Recorder};
use crate::setup::Setup;

/// The crash points of a monitor with a command sink.
const POINTS: [&str; 6] = [
    "monitor/answered",
    "monitor/superseded",
    "monitor/synced",
    "monitor/claimed",
    "sink/started",
    "sink/ended",
];

/// At once, later, and at random.
const WHEN: [&str; 3] = ["return", "2*off->return", "30%return"];

const SESSIONS: usize = 20;
const JOBS: usize = 200;

/// The repeated answers of the sink. Each session begins at another one.
const ANSWERS: [&str; 13] = [
    "deliver", "busy", "lost", "late", "crash", "deliver", "gone", "flood", "busy", "deliver", "late",
    "hang", "lost",
];

#[test]
fn every_job_is_delivered_however_the_monitor_is_killed() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, "500ms");
    for n in 0..SESSIONS {
        let answers: Vec<&str> = ANSWERS.iter().cycle().skip(n).take(300).copied().collect();
        recorder.answers(&session(n), &answers);
    }
    let (enough, finished) = (AtomicBool::new(false), AtomicBool::new(false));
    let jobs = std::thread::scope(|scope| {
        let killing = scope.spawn(|| kill_monitors(&setup, &recorder, &enough, &finished));
        let jobs = launch_rounds(&setup, || enough.load(Ordering::Relaxed) || killing.is_finished());
        finished.store(true, Ordering::Relaxed);
        killing.join().expect("the monitors die where they should");
        jobs
    });
    recorder.calm_down();
    wait_until("all results are delivered", || {
        deliver_once(&setup.home);
        let states: Vec<_> = jobs.iter().map(|(id, _)| (*id, setup.state(*id))).collect();
        let dead: Vec<JobId> =
            states.iter().filter(|(_, state)| *state == FollowUpState::Dead).map(|(id, _)| *id).collect();
        setup.homing.retry(&dead).expect("they can be retried");
        states.iter().all(|(_, state)| *state == FollowUpState::Acknowledged)
    });
    recorder.assert_no_overlap();
    assert_delivered_correctly(&recorder.recorded(), &jobs);
}

fn session(n: usize) -> String {
    format!("chat-{n}")
}

/// Repeatedly launches a job for each session and waits until all have finished, without notifying the monitors.
/// Stops after [`JOBS`] jobs and when `is_enough` returns true. Returns the jobs; those of a session are in the order
/// of their ends.
fn launch_rounds(setup: &Setup, mut is_enough: impl FnMut() -> bool) -> Vec<(JobId, String)> {
    let mut jobs: Vec<(JobId, String)> = Vec::new();
    while jobs.len() < JOBS || !is_enough() {
        let round: Vec<_> = (0..SESSIONS)
            .map(|n| (setup.launch(&session(n), &format!("echo {n}; exit {}", n % 3)), session(n)))
            .collect();
        for (id, _) in &round {
            let record = setup.homing.job_path(*id).join("record");
            wait_until("its end is on the disk", || {
                fs::read(&record).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("\"outcome\""))
            });
        }
        jobs.extend(round);
    }
    jobs
}

/// Starts one monitor after the other and kills each. Sets `enough` once every crash point has killed some.
fn kill_monitors(setup: &Setup, recorder: &Recorder, enough: &AtomicBool, finished: &AtomicBool) {
    let give_up_at = Instant::now() + 2 * testkit::WAIT_TIMEOUT;
    let mut killed: HashMap<(&str, &str), u32> = HashMap::new();
    let mut at_random = 0;
    for turn in 0.. {
        for (n, point) in POINTS.into_iter().enumerate() {
            let when = WHEN[turn % WHEN.len()];
            let failpoints = format!("{point}={when}");
            // A monitor that runs until stopped, or one that only delivers what is due: both must die.
            let mut monitor = match (turn / WHEN.len() + n) % 2 {
                0 => MonitorProcess::start(&setup.home, &failpoints),
                _ => MonitorProcess::start_once(&setup.home, &failpoints),
            };
            while monitor.ended().is_none() && !finished.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if monitor.ended().is_some_and(|status| status.signal() == Some(9)) {
                *killed.entry((point, when)).or_default() += 1;
            }
        }
        // Kill it from outside at a random time, as soon as its sink runs again.
        let before = recorder.count();
        let mut monitor = MonitorProcess::start(&setup.home, "");
        while recorder.count() <= before + turn % 7 && !finished.load(Ordering::Relaxed) {
            assert!(monitor.ended().is_none(), "it runs until it is ended: {}", monitor.log());
            assert!(Instant::now() < give_up_at, "no more deliveries: {}", monitor.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        monitor.kill_9();
        at_random += 1;
        let everywhere =
            POINTS.iter().all(|point| WHEN.iter().all(|when| killed.get(&(point, when)) >= Some(&2)));
        if everywhere && at_random >= 10 {
            enough.store(true, Ordering::Relaxed);
        }
        assert!(
            enough.load(Ordering::Relaxed) || Instant::now() < give_up_at,
            "never died there: {killed:?}"
        );
        if finished.load(Ordering::Relaxed) {
            break;
        }
    }
}

/// Fails unless every job was delivered to its session, in order, in wakes that never change. The jobs of a session
/// in `jobs` are in the order of their ends.
#[track_caller]
fn assert_delivered_correctly(recorded: &[Recorded], jobs: &[(JobId, String)]) {
    let places: HashMap<JobId, usize> =
        jobs.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
    let mut firsts: HashMap<&str, &Recorded> = HashMap::new();
    let mut delivered: HashSet<JobId> = HashSet::new();
    let mut known: HashSet<JobId> = HashSet::new();
    let mut last_place: HashMap<&str, usize> = HashMap::new();
    for one in recorded {
        let first = *firsts.entry(&one.wake).or_insert(one);
        assert_eq!(one.document, first.document, "the content of a wake changed");
        let new: Vec<usize> = one
            .jobs
            .iter()
            .map(|id| {
                let place = places[id];
                assert_eq!(jobs[place].1, one.session, "delivered to another session");
                place
            })
            .filter(|place| known.insert(jobs[*place].0))
            .collect();
        // Failures come first within a wake. Between wakes the order of the ends counts.
        let last = last_place.entry(&one.session).or_default();
        let earlier: Vec<&usize> = new.iter().filter(|place| **place < *last).collect();
        assert!(earlier.is_empty(), "{} got results out of order: {earlier:?} after {last}", one.session);
        *last = new.into_iter().max().unwrap_or(0).max(*last);
        if matches!(one.answer.as_str(), "deliver" | "late") {
            delivered.extend(&one.jobs);
        }
    }
    let lost: Vec<_> = jobs.iter().filter(|(id, _)| !delivered.contains(id)).collect();
    assert!(lost.is_empty(), "never delivered: {lost:?}");
    let mut attempts: HashMap<&str, u64> = HashMap::new();
    for one in recorded {
        let last = attempts.insert(&one.wake, one.attempt).unwrap_or(0);
        assert!(one.attempt >= last, "attempts are counted up: {} after {last}", one.attempt);
    }
}
