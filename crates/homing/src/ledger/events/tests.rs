//! The log of events in a ledger without jobs: cursors, retention, and ledgers that are put in place of another one.

use std::fs;
use std::time::Duration;

use homing_core::{Actor, ActorKind, EventCursor, EventKind, SessionId};
use homing_supervisor::layout::{Directory, LEDGER};
use rusqlite::Connection;
use tempfile::TempDir;

use super::super::migrations::MIGRATIONS;
use super::super::writer::NewEvent;
use super::super::{Ledger, LedgerFile};
use super::EventPage;

struct Home {
    folder: TempDir,
    root: Directory,
    file: LedgerFile,
}

impl Home {
    fn new() -> Home {
        Home::keeping(100_000)
    }

    fn keeping(events: u32) -> Home {
        let folder = tempfile::tempdir().unwrap();
        let root = Directory::open(folder.path()).unwrap();
        let file = opened(&folder).keeping_events(events);
        Home { folder, root, file }
    }

    fn work<T>(&mut self, work: impl FnOnce(&mut Ledger) -> rusqlite::Result<T>) -> T {
        self.file.with(&self.root, work).unwrap()
    }

    /// Records events in one transaction, in turn of these sessions.
    fn record(&mut self, count: usize, sessions: &[&str]) {
        self.work(|ledger| {
            let writer = ledger.begin()?;
            for n in 0..count {
                let session = sessions.get(n % sessions.len().max(1)).copied();
                writer.record(&NewEvent { session, ..NewEvent::of_home(EventKind::JobSeen) })?;
            }
            writer.commit()
        });
    }

    fn since(&mut self, cursor: EventCursor, limit: u32) -> EventPage {
        self.work(|ledger| ledger.events(Some(cursor), None, limit))
    }

    fn now(&mut self) -> EventCursor {
        self.work(|ledger| ledger.events(None, None, 1)).next
    }

    /// Closes the ledger with everything in its main file, and returns a copy of it.
    fn copy(&mut self) -> Vec<u8> {
        self.work(|ledger| {
            ledger.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        self.file = opened(&self.folder);
        fs::read(self.folder.path().join(LEDGER)).unwrap()
    }

    fn remove_log(&self) {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(self.folder.path().join(format!("{LEDGER}{suffix}")));
        }
    }
}

fn opened(folder: &TempDir) -> LedgerFile {
    LedgerFile::new(folder.path().join(LEDGER), Duration::from_secs(10))
}

/// The numbers of the events of a page.
fn numbers(page: &EventPage) -> Vec<u64> {
    page.events.iter().map(|event| number(event.cursor)).collect()
}

fn number(cursor: EventCursor) -> u64 {
    cursor.place().unwrap().1
}

fn epoch(cursor: EventCursor) -> u32 {
    cursor.place().unwrap().0
}

#[test]
fn a_reader_continues_where_it_was() {
    let mut home = Home::new();
    let begin = home.now();
    assert_eq!(number(begin), 0);
    home.record(5, &[]);
    let first = home.since(begin, 3);
    assert_eq!((numbers(&first), first.has_more, first.truncated), (vec![1, 2, 3], true, false));
    let second = home.since(first.next, 3);
    assert_eq!((numbers(&second), second.has_more, second.truncated), (vec![4, 5], false, false));
    assert!(home.since(second.next, 3).events.is_empty());
    assert_eq!(home.now(), second.next);
    // The cursor of an event continues after it.
    assert_eq!(numbers(&home.since(first.events[1].cursor, 9)), [3, 4, 5]);
    assert_eq!(numbers(&home.since(EventCursor::oldest(), 9)), [1, 2, 3, 4, 5]);
}

#[test]
fn events_of_other_sessions_are_left_out_and_passed() {
    let mut home = Home::new();
    home.record(10, &["a", "b", "a"]);
    let b: SessionId = "b".parse().unwrap();
    let page = home.work(|ledger| ledger.events(Some(EventCursor::oldest()), Some(&b), 2));
    assert_eq!((numbers(&page), page.has_more), (vec![2, 5], true));
    let page = home.work(|ledger| ledger.events(Some(page.next), Some(&b), 2));
    assert_eq!((numbers(&page), page.has_more, number(page.next)), (vec![8], false, 10));
    let newest = home.work(|ledger| ledger.newest_events(Some(&b), 2));
    assert_eq!((numbers(&newest), newest.has_more, number(newest.next)), (vec![5, 8], true, 10));
}

#[test]
fn the_log_is_bounded_and_says_what_is_missing() {
    let mut home = Home::keeping(1_000);
    home.record(10, &[]);
    let old = home.now();
    for _ in 0..50 {
        home.record(100, &[]);
    }
    let page = home.since(EventCursor::oldest(), 10_000);
    assert!(!page.truncated);
    assert!((1_000..2_000).contains(&page.events.len()), "{}", page.events.len());
    assert_eq!(number(page.next), 5_010);
    let oldest = number(page.events[0].cursor);
    let late = home.since(old, 2);
    assert!(late.truncated && late.has_more);
    assert_eq!(numbers(&late), [oldest, oldest + 1]);
    // The newest event that was deleted is the last place that needs none of the deleted ones.
    let place = |seq| EventCursor::after(epoch(old), seq);
    assert!(!home.since(place(oldest - 1), 1).truncated);
    assert!(home.since(place(oldest - 2), 1).truncated);
    // Retention that is applied by pruning goes down to the limit.
    while home.work(Ledger::trim_events) {}
    assert_eq!(home.since(EventCursor::oldest(), 10_000).events.len(), 1_000);
}

#[test]
fn a_lowered_limit_is_reached_in_short_steps() {
    let mut home = Home::new();
    for _ in 0..25 {
        home.record(1_000, &[]);
    }
    home.file = opened(&home.folder).keeping_events(1_000);
    let count = |home: &mut Home| {
        home.work(|ledger| ledger.connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)))
    };
    let mut counts: Vec<i64> = vec![count(&mut home)];
    while home.work(Ledger::trim_events) {
        counts.push(count(&mut home));
    }
    counts.push(count(&mut home));
    assert_eq!(counts, [25_000, 15_000, 5_000, 1_000]);
}

#[test]
fn unknown_cursors_are_answered_with_the_oldest_event() {
    let mut home = Home::new();
    home.record(3, &[]);
    let known = home.now();
    for unknown in [
        EventCursor::after(epoch(known).wrapping_add(1), 1),
        EventCursor::after(epoch(known), 4),
        EventCursor::after(epoch(known), u64::MAX),
    ] {
        let page = home.since(unknown, 10);
        assert!(page.truncated, "{unknown}");
        assert_eq!((numbers(&page), page.next), (vec![1, 2, 3], known), "{unknown}");
    }
}

#[test]
fn changes_that_are_not_committed_have_no_event() {
    let mut home = Home::new();
    home.record(2, &[]);
    home.work(|ledger| {
        let writer = ledger.begin()?;
        writer.record(&NewEvent::of_home(EventKind::MonitorStarted))?;
        writer.rollback()
    });
    home.work(|ledger| {
        let writer = ledger.begin()?;
        writer.record(&NewEvent::of_home(EventKind::MonitorStarted))
        // Dropped, as after an error.
    });
    let before = home.now();
    assert_eq!(number(before), 2);
    home.record(1, &[]);
    assert_eq!(home.now(), EventCursor::after(epoch(before), 3), "no number is left out");
}

#[test]
fn an_older_state_in_the_same_file_does_not_give_numbers_twice() {
    let mut home = Home::new();
    home.record(10, &[]);
    let early = home.now();
    let older = home.copy();
    home.record(10, &[]);
    let late = home.now();
    home.copy();
    fs::write(home.folder.path().join(LEDGER), &older).unwrap();
    home.remove_log();
    // Before anything is recorded, the answer to a reader that has seen more says so.
    assert!(home.since(late, 10).truncated);
    assert!(!home.since(early, 10).truncated, "this one has not missed anything yet");
    home.record(1, &[]);
    let now = home.now();
    assert_ne!(epoch(now), epoch(late));
    assert_eq!(number(now), 11);
    for cursor in [early, late] {
        let page = home.since(cursor, 100);
        assert!(page.truncated);
        assert_eq!(page.events.len(), 11, "the events before the copy are true");
    }
    // The new epoch stays.
    home.record(1, &[]);
    assert_eq!(home.now(), EventCursor::after(epoch(now), 12));
    home.file = opened(&home.folder);
    assert_eq!(home.now(), EventCursor::after(epoch(now), 12));
}

#[test]
fn another_file_gets_another_epoch() {
    let mut home = Home::new();
    home.record(10, &[]);
    let before = home.now();
    let path = home.folder.path().join(LEDGER);
    let copy = home.copy();
    fs::write(path.with_extension("copy"), copy).unwrap();
    fs::rename(path.with_extension("copy"), &path).unwrap();
    home.remove_log();
    // Also where nobody has noted the highest number.
    fs::remove_file(home.folder.path().join("ledger.highest")).unwrap();
    let page = home.since(before, 100);
    assert!(page.truncated && epoch(page.next) != epoch(before));
    assert_eq!(page.events.len(), 10);
}

#[test]
fn a_rebuilt_ledger_gets_another_epoch() {
    let mut home = Home::new();
    home.record(10, &[]);
    let before = home.now();
    home.copy();
    fs::remove_file(home.folder.path().join(LEDGER)).unwrap();
    home.remove_log();
    home.record(2, &[]);
    let page = home.since(before, 100);
    assert!(page.truncated && epoch(page.next) != epoch(before));
    assert_eq!(numbers(&page), [1, 2]);
    // The numbers of the ledger before it do not count.
    home.record(1, &[]);
    assert_eq!(home.now(), EventCursor::after(epoch(page.next), 3));
}

#[test]
fn a_ledger_that_is_opened_again_keeps_its_epoch() {
    let mut home = Home::new();
    home.record(1, &[]);
    let before = home.now();
    home.copy();
    home.record(1, &[]);
    assert_eq!(epoch(home.now()), epoch(before));
}

#[test]
fn jobs_of_an_older_ledger_have_no_events() {
    let mut home = Home::new();
    let old = Connection::open(home.folder.path().join(LEDGER)).unwrap();
    MIGRATIONS[..6].iter().for_each(|step| old.execute_batch(step).unwrap());
    old.execute_batch(
        "INSERT INTO jobs (id, session, state, spec, ended_at) VALUES ('a', 'chat', 'finished', '{}', 1);
         INSERT INTO follow_ups (job, session, state) VALUES (1, 'chat', 'acknowledged');
         PRAGMA user_version = 6;",
    )
    .unwrap();
    drop(old);
    let page = home.since(EventCursor::oldest(), 10);
    assert_eq!((page.events.len(), page.truncated, number(page.next)), (0, false, 0));
    home.record(1, &[]);
    assert_eq!(numbers(&home.since(page.next, 10)), [1]);
}

#[test]
fn an_event_of_a_newer_program_is_left_out() {
    let mut home = Home::new();
    home.record(1, &[]);
    home.work(|ledger| {
        ledger.connection.execute_batch(
            "INSERT INTO events (seq, type, occurred_at, recorded_at, actor) VALUES
                 (2, 'job.dreamed', 1, 1, 'process'), (3, 'job.removed', 1, 1, 'robot'),
                 (4, 'job.finished', 1, 1, 'process'), (5, 'wake.asleep', 1, 1, 'process');
             INSERT INTO events (seq, type, occurred_at, recorded_at, actor, detail) VALUES
                 (6, 'job.finished', 1, 1, 'process', '{\"outcome\":{\"kind\":\"evaporated\"}}')",
        )
    });
    home.record(1, &[]);
    let page = home.since(EventCursor::oldest(), 3);
    assert_eq!((numbers(&page), number(page.next), page.has_more), (vec![1], 3, true));
    let page = home.since(page.next, 10);
    assert_eq!((numbers(&page), number(page.next)), (vec![7], 7));
}

#[test]
fn the_successor_of_a_killed_monitor_records_its_end() {
    let mut home = Home::new();
    let monitor = |pid| {
        let mut actor = Actor::of(ActorKind::Monitor);
        actor.pid = Some(pid);
        std::sync::Arc::new(actor)
    };
    let mut by = |pid, work: fn(&mut Ledger) -> rusqlite::Result<()>| {
        home.file.attributed_to(&monitor(pid)).with(&home.root, work).unwrap();
    };
    by(1, Ledger::monitor_started);
    by(1, Ledger::monitor_ended);
    by(1, Ledger::monitor_ended);
    by(2, Ledger::monitor_started);
    // It was killed.
    by(3, Ledger::monitor_started);
    // It was only stopped, and ends late.
    by(2, Ledger::monitor_ended);
    by(3, Ledger::monitor_ended);
    let events = home.since(EventCursor::oldest(), 10).events;
    let seen: Vec<_> = events.iter().map(|event| (event.event.clone(), event.actor.pid)).collect();
    let (started, clean) = (EventKind::MonitorStarted, EventKind::MonitorEnded { clean: true });
    let killed = EventKind::MonitorEnded { clean: false };
    let expected = [
        (started.clone(), Some(1)),
        (clean.clone(), Some(1)),
        (started.clone(), Some(2)),
        (killed, Some(2)),
        (started, Some(3)),
        (clean, Some(3)),
    ];
    assert_eq!(seen, expected);
}
