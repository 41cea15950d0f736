//! Queries of jobs: the last observed state of each, in launch order.

use std::collections::{BTreeMap, BTreeSet};

use homing_core::{FollowUpState, JobId, SessionId, StateName};
use rusqlite::{OptionalExtension, params};

use super::Ledger;
use super::job_rows::{COLUMNS, JobRow, TABLES, WITH_WAKES, read_job};
use super::list_cursor::ListCursor;
use super::rows::{UNFINISHED, parsed, state_name, to_json};

/// The jobs to return.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobFilter {
    pub(crate) session: Option<SessionId>,
    pub(crate) state: Option<StateName>,
    /// Only finished jobs that did not succeed.
    pub(crate) failed: bool,
    /// Only jobs that were launched at this time or later, in milliseconds since the epoch.
    pub(crate) since_ms: Option<i64>,
    /// Only jobs with this name.
    pub(crate) name: Option<String>,
    /// Only these jobs; `None` for all.
    pub(crate) ids: Option<Vec<JobId>>,
    /// Only jobs that were launched before the one at this place.
    pub(crate) before: Option<ListCursor>,
    /// The maximum number of jobs; `None` for all.
    pub(crate) limit: Option<u32>,
    pub(crate) follow_up: Option<FollowUpState>,
    /// Only jobs with an open follow-up: pending, handed off or dead.
    pub(crate) open_follow_ups: bool,
}

impl Ledger {
    /// The jobs that are unfinished in the ledger, with their states.
    pub(crate) fn unfinished(&self) -> rusqlite::Result<Vec<(JobId, StateName)>> {
        let mut query = self
            .connection
            .prepare_cached(&format!("SELECT id, state FROM jobs WHERE {UNFINISHED} ORDER BY seq"))?;
        query.query_map([], |row| Ok((parsed(row, 0)?, state_name(row, 1)?)))?.collect()
    }

    /// The jobs that are unfinished in the ledger and run on an executor, with its name.
    pub(crate) fn unfinished_on_executors(&self) -> rusqlite::Result<BTreeMap<JobId, String>> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT id, spec ->> '$.executor' FROM jobs WHERE {UNFINISHED} AND spec ->> '$.executor' IS NOT NULL"
        ))?;
        query.query_map([], |row| Ok((parsed(row, 0)?, row.get(1)?)))?.collect()
    }

    /// The jobs among `ids` that are unfinished in the ledger or whose end is not recorded yet, with their states.
    pub(crate) fn unfinished_among(&self, ids: &[JobId]) -> rusqlite::Result<Vec<(JobId, StateName)>> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let state = self
                .connection
                .prepare_cached(&format!(
                    "SELECT state FROM jobs WHERE id = ?1 AND ({UNFINISHED} OR recovery = 'not_recorded')"
                ))?
                .query_row([id.as_str()], |row| state_name(row, 0))
                .optional()?;
            found.extend(state.map(|state| (*id, state)));
        }
        Ok(found)
    }

    /// The jobs whose supervisor died and that recovery must still process, oldest first.
    pub(crate) fn needing_recovery(&self) -> rusqlite::Result<Vec<JobId>> {
        self.connection
            .prepare_cached("SELECT id FROM jobs WHERE recovery IS NOT NULL ORDER BY seq")?
            .query_map([], |row| parsed(row, 0))?
            .collect()
    }

    /// The ids of all jobs.
    pub(crate) fn all_ids(&self) -> rusqlite::Result<Vec<JobId>> {
        self.connection.prepare("SELECT id FROM jobs")?.query_map([], |row| parsed(row, 0))?.collect()
    }

    /// One job.
    pub(crate) fn job(&self, id: JobId) -> rusqlite::Result<Option<JobRow>> {
        let sql = format!("SELECT {COLUMNS} FROM {TABLES} {WITH_WAKES} WHERE jobs.id = ?1");
        self.connection.prepare_cached(&sql)?.query_row([id.as_str()], read_job).optional()
    }

    /// Ids that begin with `prefix`, at most `limit` of them.
    pub(crate) fn ids_beginning_with(&self, prefix: &str, limit: u32) -> rusqlite::Result<Vec<JobId>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id FROM jobs WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")?;
        // 'g' comes right after the last hexadecimal digit.
        let end = format!("{prefix}g");
        query.query_map(params![prefix, end, limit], |row| parsed(row, 0))?.collect()
    }

    /// As [`Ledger::ids_beginning_with`], among the jobs of one session.
    pub(crate) fn ids_of_session_beginning_with(
        &self,
        session: &SessionId,
        prefix: &str,
        limit: u32,
    ) -> rusqlite::Result<Vec<JobId>> {
        let mut query = self.connection.prepare_cached(
            "SELECT id FROM jobs WHERE id >= ?1 AND id < ?2 AND session = ?3 ORDER BY id LIMIT ?4",
        )?;
        let end = format!("{prefix}g");
        query.query_map(params![prefix, end, session.as_str(), limit], |row| parsed(row, 0))?.collect()
    }

    /// The newest job of a session; with a name, the newest one that has it.
    pub(crate) fn newest_of(
        &self,
        session: &SessionId,
        name: Option<&str>,
    ) -> rusqlite::Result<Option<JobId>> {
        let mut query = self.connection.prepare_cached(
            "SELECT id FROM jobs WHERE session = ?1 AND (?2 IS NULL OR spec ->> '$.name' = ?2)
             ORDER BY seq DESC LIMIT 1",
        )?;
        query.query_row(params![session.as_str(), name], |row| parsed(row, 0)).optional()
    }

    /// The newest jobs that match, newest first, each with its place in the list.
    pub(crate) fn jobs(&self, filter: &JobFilter) -> rusqlite::Result<Vec<(ListCursor, JobRow)>> {
        let only_open = filter.open_follow_ups || filter.follow_up.is_some_and(is_indexed);
        // Start from what is few: the wanted ids, or the open follow-ups. Otherwise from the jobs in their order.
        let (tables, seq) = match (&filter.ids, only_open) {
            (Some(_), _) => (
                "json_each(?1) AS wanted CROSS JOIN jobs ON jobs.id = wanted.value
                 CROSS JOIN follow_ups ON follow_ups.job = jobs.seq",
                "jobs.seq",
            ),
            (None, true) => ("follow_ups CROSS JOIN jobs ON follow_ups.job = jobs.seq", "follow_ups.job"),
            (None, false) => ("jobs CROSS JOIN follow_ups ON follow_ups.job = jobs.seq", "jobs.seq"),
        };
        let mut values: Vec<Box<dyn rusqlite::ToSql>> = Vec::new();
        if let Some(ids) = &filter.ids {
            let distinct: BTreeSet<&JobId> = ids.iter().collect();
            values.push(Box::new(to_json(&distinct)?));
        }
        let mut conditions = vec!["1".to_owned()];
        let mut condition = |text: &str, value: Box<dyn rusqlite::ToSql>| {
            values.push(value);
            conditions.push(format!("{text} ?{}", values.len()));
        };
        if let Some(session) = &filter.session {
            condition("jobs.session =", Box::new(session.as_str().to_owned()));
        }
        if let Some(state) = filter.follow_up {
            condition("follow_ups.state =", Box::new(state.as_str().to_owned()));
        }
        if let Some(state) = filter.state {
            condition("jobs.state =", Box::new(state.as_str().to_owned()));
        }
        if let Some(since_ms) = filter.since_ms {
            condition("jobs.spec ->> '$.created_at_ms' >=", Box::new(since_ms));
        }
        if let Some(name) = &filter.name {
            condition("jobs.spec ->> '$.name' =", Box::new(name.clone()));
        }
        if let Some(cursor) = &filter.before {
            condition(&format!("{seq} <"), Box::new(self.place_of(cursor)?));
        }
        if filter.failed {
            conditions.push("jobs.state = 'finished'".to_owned());
            // Only an exit has an exit code.
            conditions.push("coalesce(jobs.finished ->> '$.outcome.exit_code', 1) <> 0".to_owned());
        }
        // The conditions repeat the text of the partial indexes. Otherwise SQLite does not use them.
        if matches!(filter.state, Some(StateName::Starting | StateName::Running)) {
            conditions.push("jobs.state <> 'finished'".to_owned());
        }
        if only_open {
            conditions.push("follow_ups.state IN ('pending', 'handed_off', 'dead')".to_owned());
        }
        let conditions = conditions.join(" AND ");
        // SQLite treats a negative limit as no limit.
        let limit = filter.limit.map_or(-1, i64::from);
        let sql = format!(
            "SELECT {COLUMNS}, {seq} AS place FROM {tables} {WITH_WAKES} WHERE {conditions}
             ORDER BY {seq} DESC LIMIT {limit}"
        );
        let mut query = self.connection.prepare_cached(&sql)?;
        let values: Vec<&dyn rusqlite::ToSql> = values.iter().map(AsRef::as_ref).collect();
        let rows = query.query_map(&values[..], |row| {
            let job = read_job(row)?;
            let id = job.as_ref().map_or_else(|unsupported| unsupported.id, |job| job.id);
            Ok((ListCursor { seq: row.get("place")?, job: id }, job))
        })?;
        rows.collect()
    }
}

/// Whether follow-ups in this state are in the index of open ones.
fn is_indexed(state: FollowUpState) -> bool {
    match state {
        FollowUpState::Pending | FollowUpState::HandedOff | FollowUpState::Dead => true,
        FollowUpState::Waiting | FollowUpState::Acknowledged | FollowUpState::Suppressed => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use homing_supervisor::layout::{Directory, LEDGER};

    use super::super::LedgerFile;
    use super::*;

    /// The shortest times for a page of 50 jobs in the middle of a list of this many jobs, of all sessions and of one of ten,
    /// for 50 jobs by their ids, and for 50 failed jobs, which are the oldest ones.
    fn pages(count: u32) -> [Duration; 4] {
        let folder = tempfile::tempdir().unwrap();
        let root = Directory::open(folder.path()).unwrap();
        let mut file = LedgerFile::new(folder.path().join(LEDGER), Duration::from_secs(10));
        file.with(&root, |ledger| {
            ledger.connection.execute_batch("BEGIN")?;
            for n in 1..=count {
                let session = format!("chat-{}", n % 10);
                let finished =
                    format!(r#"{{"outcome":{{"kind":"exited","exit_code":{}}}}}"#, u32::from(n <= 100));
                ledger.connection.execute(
                    "INSERT INTO jobs (seq, id, session, state, ended_at, spec, finished)
                     VALUES (?1, ?2, ?3, 'finished', ?1, '{}', ?4)",
                    params![n, format!("{n:012x}"), session, finished],
                )?;
                ledger.connection.execute(
                    "INSERT INTO follow_ups (job, session, state) VALUES (?1, ?2, 'acknowledged')",
                    params![n, session],
                )?;
            }
            ledger.connection.execute_batch("COMMIT")?;
            let id = |n: u32| -> JobId { format!("{n:012x}").parse().unwrap() };
            let middle = ListCursor { seq: i64::from(count / 2), job: id(count / 2) };
            let page = JobFilter { before: Some(middle), limit: Some(50), ..JobFilter::default() };
            let of_session = JobFilter { session: "chat-3".parse().ok(), ..page.clone() };
            let ids = Some((count / 2 - 50..count / 2).map(id).collect());
            let by_id = JobFilter { ids, ..JobFilter::default() };
            let failed = JobFilter { failed: true, limit: Some(50), ..JobFilter::default() };
            let mut times = [Duration::MAX; 4];
            for _ in 0..30 {
                for (filter, best) in [&page, &of_session, &by_id, &failed].into_iter().zip(&mut times) {
                    let started = Instant::now();
                    let found = ledger.jobs(filter)?;
                    *best = started.elapsed().min(*best);
                    assert_eq!(found.len(), 50);
                    assert!(found[0].0.seq < i64::from(count / 2));
                }
            }
            Ok(times)
        })
        .unwrap()
    }

    #[test]
    fn a_page_costs_the_same_in_a_list_of_twenty_thousand_jobs() {
        let (quick, slow) = (pages(1_200), pages(20_000));
        for (quick, slow) in quick.into_iter().zip(slow) {
            assert!(slow < quick * 3, "{slow:?} among 20,000, {quick:?} among 1,200");
        }
    }
}
