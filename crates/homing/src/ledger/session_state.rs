//! The queries of the monitor: undelivered results of each session, and the states of its wakes.

use std::collections::BTreeMap;

use homing_core::text::WAKE_LIMIT_JOBS;
use homing_core::{JobId, OpenWake, SessionId, Timestamp, WakeId};
use rusqlite::{Connection, OptionalExtension, params};

use super::Ledger;
use super::hold::{Hold, RouteKey};
use super::rows::{CLAIMED, PROGRESS, UNFINISHED, name_in, named, parsed, progress, timestamp};

/// Finished jobs that no wake carries and that have the same route.
#[derive(Clone, Debug)]
pub(crate) struct Undelivered {
    pub(crate) route: RouteKey,
    /// The oldest of them, in the order of their ends: at least one, and at most as many as one wake may carry.
    pub(crate) jobs: Vec<EndedJob>,
}

/// A finished job, with its place in the order of delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndedJob {
    /// When it ended, in milliseconds since the epoch, and its place in the order of launches.
    order: (i64, i64),
    pub(crate) id: JobId,
}

/// The oldest jobs of several routes in the order of their ends, as many as one wake may carry.
pub(crate) fn oldest_of<'u>(routes: impl IntoIterator<Item = &'u Undelivered>) -> Vec<JobId> {
    let mut jobs: Vec<EndedJob> = routes.into_iter().flat_map(|route| &route.jobs).copied().collect();
    jobs.sort_unstable();
    jobs.into_iter().map(|job| job.id).take(WAKE_LIMIT_JOBS).collect()
}

/// The state of one session in the ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionState {
    /// Its open wakes, oldest first.
    pub(crate) open: Vec<OpenWake>,
    /// The sinks of those wakes that wait for an attempt; `None` where only a claim delivers the wake.
    pub(crate) scheduled_for: Vec<(WakeId, Option<String>)>,
    /// Its finished jobs that no wake carries, by route; the route of the oldest job first.
    pub(crate) undelivered: Vec<Undelivered>,
    /// The times at which its recent wakes were created.
    pub(crate) made_at: Vec<Timestamp>,
    /// Why undelivered jobs wait, as of the last decision.
    pub(crate) holds: BTreeMap<RouteKey, Hold>,
}

impl Ledger {
    /// The sessions with open wakes, or with finished jobs that no wake carries.
    pub(crate) fn sessions_to_notify(&self) -> rusqlite::Result<Vec<SessionId>> {
        let mut query = self.connection.prepare_cached(
            "SELECT session FROM wakes WHERE state IN ('scheduled', 'in_flight', 'handed_off')
             UNION
             SELECT session FROM follow_ups WHERE state = 'pending' AND wake IS NULL",
        )?;
        query.query_map([], |row| parsed(row, 0))?.collect()
    }

    /// The sessions of these jobs.
    pub(crate) fn sessions_of(&self, jobs: &[JobId]) -> rusqlite::Result<Vec<SessionId>> {
        let mut sessions = Vec::with_capacity(jobs.len());
        for job in jobs {
            let mut query = self.connection.prepare_cached("SELECT session FROM jobs WHERE id = ?1")?;
            let found: rusqlite::Result<Vec<SessionId>> =
                query.query_map([job.as_str()], |row| parsed(row, 0))?.collect();
            sessions.extend(found?);
        }
        sessions.sort_unstable();
        sessions.dedup();
        Ok(sessions)
    }

    /// The state of a session that a delivery decision needs. Counts wakes since `made_since`.
    pub(crate) fn state(&self, session: &SessionId, made_since: Timestamp) -> rusqlite::Result<SessionState> {
        // In one transaction: a job that another process puts into a wake in between would be in neither list.
        let _moment = self.connection.unchecked_transaction()?;
        Ok(SessionState {
            open: open_wakes(&self.connection, session)?,
            scheduled_for: scheduled_for(&self.connection, session)?,
            undelivered: undelivered(&self.connection, session)?,
            made_at: made_at(&self.connection, session, made_since)?,
            holds: holds(&self.connection, session)?,
        })
    }

    /// The wakes that a sink has not answered yet, with the times at which it received them. Not those that hosts have
    /// leased.
    pub(crate) fn wakes_in_flight(&self) -> rusqlite::Result<Vec<(WakeId, SessionId, String, Timestamp)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, session, sink, since FROM wakes
             WHERE state IN ('scheduled', 'in_flight', 'handed_off') AND state = 'in_flight' AND lease IS NULL
             ORDER BY seq",
        )?;
        query
            .query_map([], |row| Ok((parsed(row, 0)?, parsed(row, 1)?, row.get(2)?, timestamp(row, 3)?)))?
            .collect()
    }

    /// The claimed wakes of a session that the agent has not confirmed yet; oldest first.
    pub(crate) fn claimed_wakes(&self, session: &SessionId) -> rusqlite::Result<Vec<WakeId>> {
        let mut query = self.connection.prepare_cached(
            "SELECT id FROM wakes
             WHERE session = ?1 AND state IN ('scheduled', 'in_flight', 'handed_off') AND state = 'handed_off'
               AND EXISTS (SELECT 1 FROM follow_ups
                   WHERE follow_ups.wake = wakes.seq AND follow_ups.state = 'handed_off')
               AND EXISTS (SELECT 1 FROM attempts
                   WHERE attempts.wake = wakes.seq AND attempts.number = wakes.attempts AND attempts.result = ?2)
             ORDER BY seq",
        )?;
        query.query_map([session.as_str(), CLAIMED], |row| parsed(row, 0))?.collect()
    }

    /// The routes of the undelivered follow-ups that a wake carries, each once.
    pub(crate) fn routes_of(&self, wake: WakeId) -> rusqlite::Result<Vec<RouteKey>> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT follow_ups.sink, follow_ups.harness
             FROM wakes JOIN follow_ups ON follow_ups.wake = wakes.seq
             WHERE wakes.id = ?1 AND follow_ups.state = 'pending'",
        )?;
        query
            .query_map([wake.to_string()], |row| {
                Ok(RouteKey { sink: named(row, 0)?, harness: named(row, 1)? })
            })?
            .collect()
    }

    /// The jobs of a session that are unfinished in the ledger.
    pub(crate) fn unfinished_of(&self, session: &SessionId) -> rusqlite::Result<Vec<JobId>> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT id FROM jobs WHERE {UNFINISHED} AND session = ?1 ORDER BY seq"
        ))?;
        query.query_map([session.as_str()], |row| parsed(row, 0))?.collect()
    }
}

fn open_wakes(connection: &Connection, session: &SessionId) -> rusqlite::Result<Vec<OpenWake>> {
    let sql = format!(
        "SELECT id, NOT EXISTS (
             SELECT 1 FROM follow_ups WHERE follow_ups.wake = wakes.seq AND follow_ups.state IN ('pending', 'handed_off')
         ), {PROGRESS} FROM wakes
         WHERE session = ?1 AND state IN ('scheduled', 'in_flight', 'handed_off') ORDER BY seq"
    );
    connection
        .prepare_cached(&sql)?
        .query_map([session.as_str()], |row| {
            Ok(OpenWake { id: parsed(row, 0)?, is_superseded: row.get(1)?, progress: progress(row, 2)? })
        })?
        .collect()
}

fn scheduled_for(
    connection: &Connection,
    session: &SessionId,
) -> rusqlite::Result<Vec<(WakeId, Option<String>)>> {
    connection
        .prepare_cached(
            "SELECT id, sink FROM wakes
             WHERE session = ?1 AND state IN ('scheduled', 'in_flight', 'handed_off') AND state = 'scheduled'
             ORDER BY seq",
        )?
        .query_map([session.as_str()], |row| Ok((parsed(row, 0)?, named(row, 1)?)))?
        .collect()
}

/// Iterates over the routes by the index, and reads at most as many jobs of each as one wake may carry.
fn undelivered(connection: &Connection, session: &SessionId) -> rusqlite::Result<Vec<Undelivered>> {
    // Two queries, because SQLite uses the index only for the first element of a row value comparison.
    let mut next_harness = connection.prepare_cached(
        "SELECT sink, harness FROM follow_ups
         WHERE session = ?1 AND state = 'pending' AND wake IS NULL AND sink = ?2 AND harness > ?3
         ORDER BY sink, harness LIMIT 1",
    )?;
    let mut next_sink = connection.prepare_cached(
        "SELECT sink, harness FROM follow_ups
         WHERE session = ?1 AND state = 'pending' AND wake IS NULL AND sink > ?2
         ORDER BY sink, harness LIMIT 1",
    )?;
    let mut oldest = connection.prepare_cached(
        "SELECT jobs.id, coalesce(follow_ups.ended_at, 0), follow_ups.job
         FROM follow_ups CROSS JOIN jobs ON jobs.seq = follow_ups.job
         WHERE follow_ups.session = ?1 AND follow_ups.state = 'pending' AND follow_ups.wake IS NULL
           AND follow_ups.sink = ?2 AND follow_ups.harness = ?3
         ORDER BY follow_ups.ended_at, follow_ups.job LIMIT ?4",
    )?;
    let mut found = Vec::new();
    // Names are never empty: an empty name means none, and sorts first.
    let mut route = Some((String::new(), String::new()));
    while let Some((sink, harness)) = route {
        let jobs: Vec<EndedJob> = oldest
            .query_map(params![session.as_str(), sink, harness, WAKE_LIMIT_JOBS], |row| {
                Ok(EndedJob { id: parsed(row, 0)?, order: (row.get(1)?, row.get(2)?) })
            })?
            .collect::<rusqlite::Result<_>>()?;
        let names = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        route = next_harness.query_row(params![session.as_str(), sink, harness], names).optional()?;
        if route.is_none() {
            route = next_sink.query_row(params![session.as_str(), sink], names).optional()?;
        }
        if !jobs.is_empty() {
            let route = RouteKey { sink: name_in(sink), harness: name_in(harness) };
            found.push(Undelivered { route, jobs });
        }
    }
    found.sort_by_key(|undelivered| undelivered.jobs[0]);
    Ok(found)
}

fn made_at(
    connection: &Connection,
    session: &SessionId,
    since: Timestamp,
) -> rusqlite::Result<Vec<Timestamp>> {
    connection
        .prepare_cached(
            "SELECT created_at FROM wakes WHERE session = ?1 AND created_at >= ?2 AND counts
             ORDER BY seq DESC LIMIT 1000",
        )?
        .query_map(params![session.as_str(), since.as_unix_millis()], |row| timestamp(row, 0))?
        .collect()
}

fn holds(connection: &Connection, session: &SessionId) -> rusqlite::Result<BTreeMap<RouteKey, Hold>> {
    connection
        .prepare_cached("SELECT sink, harness, until, reason FROM holds WHERE session = ?1")?
        .query_map([session.as_str()], |row| {
            let route = RouteKey { sink: named(row, 0)?, harness: named(row, 1)? };
            let until: Option<i64> = row.get(2)?;
            Ok((route, Hold { until: until.map(Timestamp::from_unix_millis), reason: row.get(3)? }))
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use homing_supervisor::layout::{Directory, LEDGER};

    use super::super::LedgerFile;
    use super::*;

    /// The result of the query for a session with this many undelivered follow-ups, and the shortest time that it
    /// took. One job in ten names a sink.
    fn decision(undelivered: u32) -> (SessionState, Duration) {
        let folder = tempfile::tempdir().unwrap();
        let root = Directory::open(folder.path()).unwrap();
        let mut file = LedgerFile::new(folder.path().join(LEDGER), Duration::from_secs(10));
        file.with(&root, |ledger| {
            ledger.connection.execute_batch("BEGIN")?;
            for n in 0..undelivered {
                // The last launched job ended first.
                let (seq, ended_at) = (n + 1, undelivered - n);
                ledger.connection.execute(
                    "INSERT INTO jobs (seq, id, session, state, ended_at, spec)
                     VALUES (?1, ?2, 'chat', 'finished', ?3, '{}')",
                    params![seq, format!("{n:012x}"), ended_at],
                )?;
                ledger.connection.execute(
                    "INSERT INTO follow_ups (job, session, state, sink, harness, ended_at)
                     VALUES (?1, 'chat', 'pending', ?2, 'codex', ?3)",
                    params![seq, if n % 10 == 0 { "app" } else { "" }, ended_at],
                )?;
            }
            ledger.connection.execute_batch("COMMIT")?;
            let session = "chat".parse().unwrap();
            let mut best = Duration::MAX;
            let mut state = SessionState::default();
            for _ in 0..30 {
                let started = Instant::now();
                state = ledger.state(&session, Timestamp::from_unix_millis(0))?;
                best = best.min(started.elapsed());
            }
            Ok((state, best))
        })
        .unwrap()
    }

    #[test]
    fn a_decision_costs_no_more_where_twenty_thousand_follow_ups_are_undelivered() {
        let (few, quick) = decision(1_000);
        let (many, slow) = decision(20_000);
        for (state, last) in [(few, 999), (many, 19_999)] {
            let routes: Vec<(Option<&str>, usize)> = state
                .undelivered
                .iter()
                .map(|route| (route.route.sink.as_deref(), route.jobs.len()))
                .collect();
            assert_eq!(routes, [(None, WAKE_LIMIT_JOBS), (Some("app"), WAKE_LIMIT_JOBS)]);
            // In the order of their ends, across routes.
            let jobs = oldest_of(&state.undelivered);
            let expected = (0..50).map(|n| format!("{:012x}", last - n).parse().unwrap());
            assert_eq!(jobs, expected.collect::<Vec<JobId>>());
        }
        assert!(slow < quick * 3, "{slow:?} with 20,000, {quick:?} with 1,000");
    }
}
