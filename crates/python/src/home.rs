//! An open home for Python. Jobs are `homing.job/1` documents as dictionaries.

use std::path::PathBuf;
use std::time::Duration;

use homing::core::text::clean;
use homing::{
    Config, Error, FollowUpOptions, FollowUpState, Homing, Job, JobId, JobIdPrefix, KilledBy, ListOptions,
    OpenOptions, RecoverOptions, ResultReader, SessionId, StateName, WaitFor, session_from_environment,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pythonize::pythonize;

use crate::errors::Result;
use crate::events::{self, EventWatch};
use crate::follow::Follower;
use crate::interruption::interruptible;
use crate::launch::Request;
use crate::wakes::WakeFeed;
use crate::watch::{DeliveryHold, Watch};

/// Source of the settings: a file, or the defaults with `False`.
#[derive(FromPyObject)]
pub(crate) enum Settings {
    None(#[allow(dead_code, reason = "only its type matters")] bool),
    File(PathBuf),
}

/// An open home.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Home {
    pub(crate) homing: Homing,
}

#[pymethods]
impl Home {
    #[new]
    #[pyo3(signature = (path=None, *, program=None, config=None))]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        program: Option<PathBuf>,
        config: Option<Settings>,
    ) -> Result<Home> {
        let mut options = OpenOptions::new().detached();
        if let Some(path) = path {
            options = options.home(path);
        }
        if let Some(program) = program {
            options = options.supervisor(program);
        }
        match config {
            None => {}
            Some(Settings::None(_)) => options = options.config(Config::default()),
            Some(Settings::File(path)) => options = options.config(Config::load_from(&path)?),
        }
        let homing = options.open()?;
        if let Some(refusal) = homing.config_refusal() {
            let warning = format!("{refusal}; defaults are used, and no session is woken ({})", refusal.hint);
            py.import("warnings")?.call_method1("warn", (warning,))?;
        }
        Ok(Home { homing })
    }

    /// Path of the home.
    #[getter]
    fn path(&self) -> PathBuf {
        self.homing.home_path().to_owned()
    }

    /// Directory of a job, until the job is pruned.
    fn job_path(&self, id: &str) -> Result<PathBuf> {
        Ok(self.homing.job_path(id.parse()?))
    }

    fn launch<'py>(&self, py: Python<'py>, request: Request) -> Result<Bound<'py, PyAny>> {
        let spec = request.into_spec()?;
        let (job, delivery) = py.detach(|| {
            let job = self.homing.launch(spec)?;
            let delivery = self.homing.arrange_delivery(&job, ResultReader::Session);
            Ok::<_, Error>((job, delivery))
        })?;
        if let Some(problem) = delivery.problem {
            warn_no_monitor(py, &job, &problem);
        }
        document(py, &job)
    }

    fn get<'py>(&self, py: Python<'py>, id: &str) -> Result<Bound<'py, PyAny>> {
        let prefix: JobIdPrefix = id.parse()?;
        let job = py.detach(|| self.homing.get(self.homing.resolve(&prefix)?))?;
        document(py, &job)
    }

    #[pyo3(signature = (*, session=None, state=None, limit=None))]
    fn list<'py>(
        &self,
        py: Python<'py>,
        session: Option<&str>,
        state: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Bound<'py, PyAny>> {
        let options = ListOptions {
            session: session_id(session)?,
            state: named(state, StateName::from_name)?,
            limit,
            ..ListOptions::default()
        };
        documents(py, &py.detach(|| self.homing.list(&options))?)
    }

    #[pyo3(signature = (*, session=None, state=None, limit=None))]
    fn follow_ups<'py>(
        &self,
        py: Python<'py>,
        session: Option<&str>,
        state: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Bound<'py, PyAny>> {
        let options = FollowUpOptions {
            session: session_id(session)?,
            state: named(state, FollowUpState::from_name)?,
            limit,
            ..FollowUpOptions::default()
        };
        documents(py, &py.detach(|| self.homing.follow_ups(&options))?)
    }

    fn acknowledge<'py>(&self, py: Python<'py>, ids: Vec<String>) -> Result<Bound<'py, PyAny>> {
        changed(py, &ids, |ids| self.homing.acknowledge(ids))
    }

    fn retry<'py>(&self, py: Python<'py>, ids: Vec<String>) -> Result<Bound<'py, PyAny>> {
        changed(py, &ids, |ids| self.homing.retry(ids))
    }

    fn drop_follow_ups<'py>(&self, py: Python<'py>, ids: Vec<String>) -> Result<Bound<'py, PyAny>> {
        changed(py, &ids, |ids| self.homing.drop_follow_ups(ids))
    }

    /// Waits until jobs have finished. Returns whether they have, and the jobs.
    #[expect(clippy::too_many_arguments, reason = "Python passes them by name")]
    #[pyo3(signature = (ids, *, any=false, timeout_ms=None, acknowledge=None))]
    fn wait<'py>(
        &self,
        py: Python<'py>,
        ids: Vec<String>,
        any: bool,
        timeout_ms: Option<u64>,
        acknowledge: Option<bool>,
    ) -> Result<(bool, Bound<'py, PyAny>)> {
        let ids = job_ids(&ids)?;
        let readers = self.readers(py, &ids, acknowledge)?;
        let hold: Vec<_> =
            readers.iter().map(|(id, reader)| self.homing.hold_delivery(&[*id], reader)).collect();
        let wait_for = if any { WaitFor::Any } else { WaitFor::All };
        let timeout = timeout_ms.map(Duration::from_millis);
        let mut waited =
            interruptible(py, |interruption| self.homing.wait_unless(&ids, wait_for, timeout, interruption))?;
        let read =
            readers.iter().filter(|(id, _)| waited.jobs.iter().any(|job| job.id == *id && job.is_unread()));
        let read: Vec<JobId> = read.map(|(id, _)| *id).collect();
        if !read.is_empty() {
            let acknowledged = py.detach(|| self.homing.acknowledge(&read))?;
            for job in &mut waited.jobs {
                if let Some(now) = acknowledged.iter().find(|now| now.id == job.id) {
                    *job = now.clone();
                }
            }
        }
        drop(hold);
        Ok((waited.satisfied, documents(py, &waited.jobs)?))
    }

    /// Holds delivery of jobs whose results the caller is about to read for their session.
    #[pyo3(signature = (ids, acknowledge=None))]
    fn hold_delivery(
        &self,
        py: Python<'_>,
        ids: Vec<String>,
        acknowledge: Option<bool>,
    ) -> Result<DeliveryHold> {
        let readers = self.readers(py, &job_ids(&ids)?, acknowledge)?;
        Ok(DeliveryHold::new(
            readers.iter().map(|(id, reader)| self.homing.hold_delivery(&[*id], reader)).collect(),
        ))
    }

    /// Whether a job has finished.
    fn is_finished(&self, py: Python<'_>, id: &str) -> Result<bool> {
        let id = id.parse()?;
        Ok(py.detach(|| self.homing.is_finished(id))?)
    }

    /// A watch for event loops; `None` if the kernel has no watch left.
    fn watch(&self) -> Option<Watch> {
        self.homing.watch().ok().map(Watch::new)
    }

    #[pyo3(signature = (id, *, by_session=true))]
    fn kill<'py>(&self, py: Python<'py>, id: &str, by_session: bool) -> Result<Bound<'py, PyAny>> {
        let id: JobId = id.parse()?;
        let by = if by_session { KilledBy::Session } else { KilledBy::Operator };
        let killed =
            interruptible(py, |interruption| self.homing.kill_all_unless(&[(id, by)], interruption))?;
        document(py, &killed[0])
    }

    /// At most `limit` bytes of output from the first kept offset at or after `start`: that offset, and the bytes.
    fn output<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        start: u64,
        limit: usize,
    ) -> Result<(u64, Bound<'py, PyBytes>)> {
        let id = id.parse()?;
        let chunk = py.detach(|| self.homing.output(id, start, limit))?;
        Ok((chunk.offset, PyBytes::new(py, &chunk.bytes)))
    }

    /// Follows the output from an offset on.
    fn follow(&self, py: Python<'_>, id: &str, start: u64) -> Result<Follower> {
        let id = id.parse()?;
        Ok(Follower::new(py.detach(|| self.homing.follow(id, start))?, start))
    }

    /// The offset after the last byte of output.
    fn output_end(&self, py: Python<'_>, id: &str) -> Result<u64> {
        let id = id.parse()?;
        Ok(py.detach(|| self.homing.output_end(id))?)
    }

    /// The text for the agent about a job.
    fn result_text(&self, py: Python<'_>, id: &str) -> Result<String> {
        let id = id.parse()?;
        Ok(py.detach(|| self.homing.result_text(id))?)
    }

    /// Output as text, without terminal control codes and with only the last state of a progress bar.
    #[staticmethod]
    fn clean(py: Python<'_>, output: &[u8]) -> String {
        py.detach(|| clean(output))
    }

    /// Prunes jobs. Returns the ids of the removed jobs.
    fn prune(&self, py: Python<'_>, older_than_ms: u64) -> Result<Vec<String>> {
        let report = py.detach(|| self.homing.prune(Duration::from_millis(older_than_ms)))?;
        Ok(report.removed.iter().map(JobId::to_string).collect())
    }

    /// Recovers jobs. Returns the ids of recovered jobs, and of those that cannot be recovered with the reason.
    fn recover(&self, py: Python<'_>, assume_gone: bool) -> Result<Recovered> {
        let options = RecoverOptions { assume_gone };
        let report = py.detach(|| self.homing.recover(options))?;
        let failed = report.failed.into_iter().map(|(id, error)| (id, error.to_string()));
        let left = report.left.into_iter().chain(failed).map(|(id, reason)| (id.to_string(), reason));
        Ok((report.recovered.iter().map(JobId::to_string).collect(), left.collect()))
    }

    fn doctor<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let checks = py.detach(|| self.homing.doctor())?;
        Ok(pythonize(py, &checks).map_err(PyErr::from)?)
    }

    /// The events after a cursor. Without a cursor, none: only where to continue.
    #[pyo3(signature = (since=None, *, session=None, limit=None))]
    fn events<'py>(
        &self,
        py: Python<'py>,
        since: Option<&str>,
        session: Option<&str>,
        limit: Option<u32>,
    ) -> Result<events::Page<'py>> {
        let options = events::options(since, session, limit)?;
        events::page(py, &py.detach(|| self.homing.events_since(&options))?)
    }

    /// The newest events.
    #[pyo3(signature = (limit, *, session=None))]
    fn newest_events<'py>(
        &self,
        py: Python<'py>,
        limit: u32,
        session: Option<&str>,
    ) -> Result<events::Page<'py>> {
        let options = events::options(None, session, Some(limit))?;
        events::page(py, &py.detach(|| self.homing.newest_events(&options))?)
    }

    /// Watches the events after a cursor, or from now on.
    #[pyo3(signature = (since=None, *, session=None))]
    fn watch_events(&self, py: Python<'_>, since: Option<&str>, session: Option<&str>) -> Result<EventWatch> {
        let options = events::options(since, session, None)?;
        Ok(EventWatch::new(py.detach(|| self.homing.watch_events(options))?))
    }

    /// The process id of the active monitor, 0 if it is unknown.
    fn active_monitor(&self) -> Result<Option<u32>> {
        Ok(self.homing.active_monitor()?)
    }

    /// Becomes the monitor of this home and delivers wakes of sessions that match the pattern.
    fn wakes(&self, sessions: &str, timeout_ms: u64) -> Result<WakeFeed> {
        WakeFeed::start(&self.homing, sessions, Duration::from_millis(timeout_ms))
    }
}

/// The ids of jobs that were recovered, and those that were not, with the reason.
type Recovered = (Vec<String>, Vec<(String, String)>);

impl Home {
    /// The jobs whose result the caller reads for their session, with that session.
    fn readers(
        &self,
        py: Python<'_>,
        ids: &[JobId],
        acknowledge: Option<bool>,
    ) -> Result<Vec<(JobId, SessionId)>> {
        let own = match acknowledge {
            Some(false) => return Ok(Vec::new()),
            Some(true) => None,
            None => Some(session_from_environment()?),
        };
        let mut readers = Vec::with_capacity(ids.len());
        for id in ids {
            let session = py.detach(|| self.homing.get(*id))?.session;
            if own.as_ref().is_none_or(|own| *own == session) {
                readers.push((*id, session));
            }
        }
        Ok(readers)
    }
}

/// Logs that no monitor will wake the session of a job. Not an exception, because the job runs and is recorded.
fn warn_no_monitor(py: Python<'_>, job: &Job, error: &Error) {
    let message = format!(
        "job {} runs, but no monitor could be started to wake its session: {error}; Homing.wakes() or homing monitor \
         delivers its result",
        job.id
    );
    let warn =
        || py.import("logging")?.call_method1("getLogger", ("homing",))?.call_method1("warning", (message,));
    if let Err(failed) = warn() {
        failed.write_unraisable(py, None);
    }
}

pub(crate) fn document<'py>(py: Python<'py>, job: &Job) -> Result<Bound<'py, PyAny>> {
    Ok(pythonize(py, job).map_err(PyErr::from)?)
}

fn documents<'py>(py: Python<'py>, jobs: &[Job]) -> Result<Bound<'py, PyAny>> {
    Ok(pythonize(py, jobs).map_err(PyErr::from)?)
}

/// Applies a change of follow-ups and returns the jobs.
fn changed<'py>(
    py: Python<'py>,
    ids: &[String],
    change: impl Fn(&[JobId]) -> homing::Result<Vec<Job>> + Send + Sync,
) -> Result<Bound<'py, PyAny>> {
    let ids = job_ids(ids)?;
    documents(py, &py.detach(|| change(&ids))?)
}

fn job_ids(ids: &[String]) -> Result<Vec<JobId>> {
    ids.iter().map(|id| Ok(id.parse()?)).collect()
}

fn session_id(session: Option<&str>) -> Result<Option<SessionId>> {
    Ok(session.map(str::parse).transpose()?)
}

/// Finds a state by its name.
fn named<T>(name: Option<&str>, find: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    match name.map(|name| (name, find(name))) {
        Some((name, None)) => Err(Error::InvalidRequest(format!("there is no state {name:?}")).into()),
        found => Ok(found.and_then(|(_, found)| found)),
    }
}
