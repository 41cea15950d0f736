//! Queries of retention: which follow-ups expire, which jobs may be deleted, and which results are undelivered.

use homing_core::{EventKind, FollowUpEvent, JobId, SessionId};
use homing_supervisor::SpecFile;
use rusqlite::{OptionalExtension, Row, params};

use super::Ledger;
use super::job_rows::Launch;
use super::meta::set_meta;
use super::rows::parsed;
use super::transition::apply_event;
use super::writer::NewEvent;

/// Jobs of a session whose results are undelivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptForSession {
    pub(crate) session: SessionId,
    pub(crate) jobs: u64,
    /// Bytes of their output.
    pub(crate) output_bytes: u64,
}

/// A job that may be pruned.
#[derive(Clone, Debug)]
pub(crate) struct Prunable {
    seq: i64,
    ended_at: i64,
    pub(crate) id: JobId,
    pub(crate) launch: Launch,
}

impl Prunable {
    /// Its place in the order in which jobs are pruned.
    pub(crate) fn place(&self) -> (i64, i64) {
        (self.ended_at, self.seq)
    }
}

fn read_prunable(row: &Row<'_>) -> rusqlite::Result<Prunable> {
    Ok(Prunable {
        seq: row.get(0)?,
        ended_at: row.get(1)?,
        id: parsed(row, 2)?,
        launch: Launch::read(row, 3)?,
    })
}

impl Ledger {
    /// When jobs were pruned last, in milliseconds since the epoch.
    pub(crate) fn pruned_at(&self) -> rusqlite::Result<Option<i64>> {
        Ok(self.meta("pruned_at")?.and_then(|text| text.parse().ok()))
    }

    /// Records that all due jobs have been pruned.
    pub(crate) fn set_pruned_at(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        let transaction = self.begin()?;
        set_meta(&transaction, "pruned_at", &now_ms.to_string())?;
        transaction.commit()
    }

    /// Gives up follow-ups that have been undelivered since before `before_ms`, oldest first, at most `limit` of them.
    /// Returns their number.
    pub(crate) fn expire(&mut self, before_ms: i64, now_ms: i64, limit: u32) -> rusqlite::Result<usize> {
        let writer = self.begin()?;
        let due = writer
            .prepare_cached(
                "SELECT job FROM follow_ups WHERE state IN ('pending', 'handed_off') AND due_at < ?1
                 ORDER BY due_at LIMIT ?2",
            )?
            .query_map(params![before_ms, limit], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        for job in &due {
            apply_event(&writer, *job, FollowUpEvent::GivenUp, None)?;
            writer
                .prepare_cached("UPDATE follow_ups SET expired_at = ?2 WHERE job = ?1 AND state = 'dead'")?
                .execute(params![job, now_ms])?;
        }
        writer.commit()?;
        Ok(due.len())
    }

    /// The number of follow-ups that have been undelivered since before `before_ms`.
    pub(crate) fn expirable(&self, before_ms: i64) -> rusqlite::Result<usize> {
        self.connection
            .prepare_cached(
                "SELECT count(*) FROM follow_ups WHERE state IN ('pending', 'handed_off') AND due_at < ?1",
            )?
            .query_row([before_ms], |row| row.get(0))
    }

    /// Jobs that ended before `before_ms` and have no open follow-up, and jobs whose follow-ups expired before that; oldest
    /// first, those after `after`, at most `limit`.
    pub(crate) fn prunable(
        &self,
        before_ms: i64,
        after: (i64, i64),
        limit: u32,
    ) -> rusqlite::Result<Vec<Prunable>> {
        let mut query = self.connection.prepare_cached(
            "SELECT jobs.seq, jobs.ended_at, jobs.id, json_extract(jobs.spec, '$.created_uptime_us'),
                 json_extract(jobs.spec, '$.boot_id')
             FROM jobs CROSS JOIN follow_ups ON follow_ups.job = jobs.seq
             WHERE jobs.state = 'finished' AND jobs.spec ->> '$.schema' = ?5
               AND jobs.ended_at < ?1 AND (jobs.ended_at, jobs.seq) > (?2, ?3)
               AND (follow_ups.state IN ('acknowledged', 'suppressed')
                    OR (follow_ups.state = 'dead' AND follow_ups.expired_at < ?1))
             ORDER BY jobs.ended_at, jobs.seq LIMIT ?4",
        )?;
        query
            .query_map(params![before_ms, after.0, after.1, limit, SpecFile::schema()], read_prunable)?
            .collect()
    }

    /// Those of these jobs that have finished and need no delivery.
    pub(crate) fn removable(&self, ids: &[JobId]) -> rusqlite::Result<Vec<Prunable>> {
        let mut query = self.connection.prepare_cached(
            "SELECT jobs.seq, jobs.ended_at, jobs.id, json_extract(jobs.spec, '$.created_uptime_us'),
                 json_extract(jobs.spec, '$.boot_id')
             FROM jobs JOIN follow_ups ON follow_ups.job = jobs.seq
             WHERE jobs.id = ?1 AND jobs.state = 'finished' AND jobs.spec ->> '$.schema' = ?2
               AND follow_ups.state IN ('acknowledged', 'suppressed')",
        )?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found
                .extend(query.query_row(params![id.as_str(), SpecFile::schema()], read_prunable).optional()?);
        }
        Ok(found)
    }

    /// Deletes the rows of jobs whose directories are gone.
    pub(crate) fn forget(&mut self, jobs: &[Prunable]) -> rusqlite::Result<()> {
        let writer = self.begin()?;
        for job in jobs {
            // Not by id: a job that was launched with the same key meanwhile has the same id.
            let session: Option<String> = writer
                .prepare_cached("SELECT session FROM jobs WHERE seq = ?1")?
                .query_row([job.seq], |row| row.get(0))
                .optional()?;
            // Another process may have deleted it meanwhile.
            let Some(session) = session else { continue };
            writer.prepare_cached("DELETE FROM jobs WHERE seq = ?1")?.execute([job.seq])?;
            writer.record(&NewEvent::of_job(EventKind::JobRemoved, job.id.as_str(), &session))?;
        }
        writer.commit()
    }

    /// Deletes wakes that were closed before `before_ms` and whose jobs are all gone.
    pub(crate) fn forget_wakes(&mut self, before_ms: i64) -> rusqlite::Result<usize> {
        let transaction = self.begin()?;
        let forgotten = transaction.execute(
            "DELETE FROM wakes WHERE state IN ('delivered', 'dead', 'superseded') AND since < ?1
                AND NOT EXISTS (SELECT 1 FROM wake_jobs WHERE wake_jobs.wake = wakes.seq)",
            params![before_ms],
        )?;
        transaction.commit()?;
        Ok(forgotten)
    }

    /// The sessions whose finished jobs are kept because the results are undelivered, most output first.
    pub(crate) fn undelivered(&self, limit: u32) -> rusqlite::Result<Vec<KeptForSession>> {
        let mut query = self.connection.prepare_cached(
            "SELECT follow_ups.session, count(*), sum(jobs.output_kept)
             FROM follow_ups CROSS JOIN jobs ON jobs.seq = follow_ups.job
             WHERE follow_ups.state IN ('pending', 'handed_off', 'dead')
             GROUP BY follow_ups.session ORDER BY 3 DESC, 2 DESC LIMIT ?1",
        )?;
        query
            .query_map([limit], |row| {
                Ok(KeptForSession { session: parsed(row, 0)?, jobs: row.get(1)?, output_bytes: row.get(2)? })
            })?
            .collect()
    }

    /// The jobs that a newer program wrote in a state that this one does not know; at most `limit`.
    pub(crate) fn unsupported(&self, limit: u32) -> rusqlite::Result<Vec<(JobId, String)>> {
        let mut query = self.connection.prepare(
            "SELECT jobs.id, jobs.state, follow_ups.state FROM jobs JOIN follow_ups ON follow_ups.job = jobs.seq
             WHERE jobs.state NOT IN ('starting', 'running', 'finished') OR follow_ups.state NOT IN
                ('waiting', 'pending', 'handed_off', 'acknowledged', 'suppressed', 'dead') LIMIT ?1",
        )?;
        query
            .query_map([limit], |row| {
                let (job, follow_up): (String, String) = (row.get(1)?, row.get(2)?);
                Ok((parsed(row, 0)?, format!("its state is {job:?}, its follow-up is {follow_up:?}")))
            })?
            .collect()
    }
}
