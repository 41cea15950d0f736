//! Lists that are read page by page while jobs come and go and the ledger is rebuilt, and the counts of sessions.

use std::fs;

use homing::{FollowUpOptions, Homing, Job, JobId, ListCursor, ListOptions, SessionId};

use crate::setup::{Setup, open};

fn session(name: &str) -> SessionId {
    name.parse().expect("a session")
}

fn run_in(setup: &Setup, name: &str, script: &str) -> JobId {
    let job = setup.launch_spec(setup.script(script).session(session(name)));
    setup.end_of(job.id).id
}

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

fn page(homing: &Homing, before: Option<ListCursor>) -> (Vec<JobId>, Option<ListCursor>) {
    let options =
        ListOptions { session: Some(session("chat")), limit: Some(2), before, ..ListOptions::default() };
    let listing = homing.listing(&options).expect("a list");
    assert_eq!(listing.has_more, listing.next.is_some());
    (ids(&listing.jobs), listing.next)
}

#[test]
fn pages_contain_each_job_once_while_jobs_come_and_go() {
    let setup = Setup::new();
    let mut jobs = Vec::new();
    for _ in 0..7 {
        jobs.push(run_in(&setup, "chat", "true"));
        run_in(&setup, "other", "true");
    }
    jobs.reverse();
    let (first, next) = page(&setup.homing, None);
    assert_eq!(first, jobs[..2]);
    // As text, over a connection.
    let next: ListCursor = next.expect("more").to_string().parse().expect("a cursor");
    // A new job is on no later page. Without the job at the cursor, the next page begins at the same place.
    run_in(&setup, "chat", "true");
    setup.homing.acknowledge(&[jobs[1], jobs[6]]).expect("they are acknowledged");
    setup.homing.remove(&[jobs[1]]).expect("it is deleted");
    let (second, next) = page(&setup.homing, Some(next));
    assert_eq!(second, jobs[2..4]);
    // A rebuilt ledger gives other numbers: the oldest job is gone.
    setup.homing.remove(&[jobs[6]]).expect("it is deleted");
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(setup.home.path().join(format!("ledger.db{suffix}")));
    }
    let rebuilt = open(&setup.home, std::time::Duration::from_secs(10));
    let (third, next) = page(&rebuilt, next);
    assert_eq!((third, next), (jobs[4..6].to_vec(), None));
}

#[test]
fn follow_ups_are_read_page_by_page_too() {
    let setup = Setup::new();
    let mut jobs: Vec<JobId> = (0..5).map(|_| run_in(&setup, "chat", "true")).collect();
    jobs.reverse();
    setup.homing.acknowledge(&[jobs[1]]).expect("it is acknowledged");
    let mut options = FollowUpOptions { limit: Some(3), ..FollowUpOptions::default() };
    let first = setup.homing.follow_up_listing(&options).expect("a list");
    assert_eq!(ids(&first.jobs), [jobs[0], jobs[2], jobs[3]]);
    options.before = first.next;
    let second = setup.homing.follow_up_listing(&options).expect("a list");
    assert_eq!((ids(&second.jobs), second.next), (vec![jobs[4]], None));
}

#[test]
fn jobs_are_listed_by_their_ids() {
    let setup = Setup::new();
    let jobs: Vec<JobId> = (0..4).map(|_| run_in(&setup, "chat", "true")).collect();
    let other = run_in(&setup, "other", "exit 3");
    let unknown = "000000000000".parse().expect("an id");
    let wanted = vec![jobs[2], other, unknown, jobs[0], jobs[2]];
    let list = |options: ListOptions| ids(&setup.homing.list(&options).expect("a list"));
    let options = ListOptions { ids: wanted, ..ListOptions::default() };
    assert_eq!(list(options.clone()), [other, jobs[2], jobs[0]], "newest first, each once");
    assert_eq!(list(ListOptions { session: Some(session("chat")), ..options.clone() }), [jobs[2], jobs[0]]);
    assert_eq!(list(ListOptions { failed: true, ..options.clone() }), [other]);
    let newest = ListOptions { limit: Some(1), ..options };
    let listing = setup.homing.listing(&newest).expect("a list");
    assert_eq!((ids(&listing.jobs), listing.has_more), (vec![other], true));
    assert_eq!(list(ListOptions { before: listing.next, limit: None, ..newest }), [jobs[2], jobs[0]]);
}

#[test]
fn sessions_are_counted_and_the_last_one_used_is_first() {
    let setup = Setup::new();
    assert!(setup.homing.sessions().expect("a list").is_empty());
    let first = run_in(&setup, "chat", "true");
    run_in(&setup, "chat", "exit 3");
    let dropped = run_in(&setup, "chat", "true");
    let other = run_in(&setup, "other", "true");
    let running = setup.launch_spec(setup.script("sleep MARK").session(session("chat")));
    setup.homing.acknowledge(&[first]).expect("it is acknowledged");
    setup.homing.drop_follow_ups(&[dropped]).expect("it is dropped");
    let sessions = setup.homing.sessions().expect("a list");
    let counts: Vec<_> = sessions
        .iter()
        .map(|summary| {
            let counts = [summary.running, summary.finished, summary.open_follow_ups, summary.dead];
            (summary.session.as_str(), counts, summary.newest_job)
        })
        .collect();
    assert_eq!(counts, [("chat", [1, 3, 1, 0], running.id), ("other", [0, 1, 1, 0], other)]);
    assert_eq!(sessions[0].last_launch_at, Some(running.created_at));
    setup.homing.kill(running.id, homing::KilledBy::Session).expect("it is ended");
    // A dead follow-up is open too.
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    ledger.execute("UPDATE follow_ups SET state = 'dead' WHERE session = 'other'", []).expect("a row");
    let sessions = setup.homing.sessions().expect("a list");
    assert_eq!((sessions[0].running, sessions[0].finished), (0, 4));
    assert_eq!((sessions[1].open_follow_ups, sessions[1].dead), (1, 1));
}
