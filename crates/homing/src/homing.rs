//! The library's entry point: an open home and the operations on it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use homing_core::{FollowUpState, Job, JobId, JobIdPrefix, SessionId, StateName};
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::clock;
use homing_supervisor::{DiskError, RunBy};

use crate::config::{Config, ConfigRefusal};
use crate::index::report::SyncReport;
use crate::index::unreadable::UnreadableJobs;
use crate::ledger::{JobFilter, Ledger, LedgerFile, LedgerProblem, UnsupportedJob};
use crate::store::home::Home;
use crate::{Error, Result};

/// How long an operation waits for a locked ledger.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The most candidates in the error for an ambiguous prefix.
const MAX_CANDIDATES: u32 = 10;

/// Options for opening a home.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    home: Option<PathBuf>,
    config: Option<Config>,
    supervisor: Option<PathBuf>,
    busy_timeout: Option<Duration>,
    detached: bool,
    recovers: bool,
}

impl OpenOptions {
    /// Options for the home that the environment names, with the user's configuration.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Sets the path of the home. It must be absolute.
    #[must_use]
    pub fn home(self, path: impl Into<PathBuf>) -> OpenOptions {
        OpenOptions { home: Some(path.into()), ..self }
    }

    /// Sets the configuration instead of reading the user's.
    #[must_use]
    pub fn config(self, config: Config) -> OpenOptions {
        OpenOptions { config: Some(config), ..self }
    }

    /// Sets the program that supervises jobs. The default is the program that `HOMING_SUPERVISOR` names, else this
    /// program if it called [`supervise_if_asked`](crate::supervise_if_asked), else `homing` in the directory of this
    /// program or in `PATH`.
    #[must_use]
    pub fn supervisor(self, program: impl Into<PathBuf>) -> OpenOptions {
        OpenOptions { supervisor: Some(program.into()), ..self }
    }

    /// Starts supervisors and monitors as processes that are not children of this one. Then this process does not have
    /// to reap them, a wait for all children does not wait for jobs, and killing the process tree does not kill them.
    /// Use it in long-running hosts. It costs a fork of the small supervisor at each launch. If this process adopts
    /// orphans (process 1 of a container, a subreaper), they stay its children; the next call reaps them.
    #[must_use]
    pub fn detached(self) -> OpenOptions {
        OpenOptions { detached: true, ..self }
    }

    /// Recovers jobs whose supervisor died whenever the ledger is updated ([`Homing::recover`]). Use it in long-running
    /// servers. Without it, updates never end processes or write records.
    #[must_use]
    pub fn recovers(self) -> OpenOptions {
        OpenOptions { recovers: true, ..self }
    }

    /// Sets how long an operation waits for a ledger that another process has locked. The default is 10 s.
    #[must_use]
    pub fn busy_timeout(self, timeout: Duration) -> OpenOptions {
        OpenOptions { busy_timeout: Some(timeout), ..self }
    }

    /// Opens the home and creates it if it does not exist. The ledger is opened on first use.
    ///
    /// Ignores a configuration that another user can write to: see [`Homing::config_refusal`].
    ///
    /// # Errors
    /// When the home cannot be used safely, or the configuration is wrong.
    pub fn open(self) -> Result<Homing> {
        let (path, config) = (self.home_path()?, self.read_config()?);
        Ok(self.with_home(Home::open(&path)?, config))
    }

    /// Opens the home for a caller that does not launch jobs. Returns `None` if the home does not exist, and never
    /// creates it.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open_existing(self) -> Result<Option<Homing>> {
        let (path, config) = (self.home_path()?, self.read_config()?);
        Ok(Home::open_existing(&path)?.map(|home| self.with_home(home, config)))
    }

    /// The path of the home that is opened.
    pub(crate) fn home_path(&self) -> Result<PathBuf> {
        self.home.clone().map_or_else(Home::default_path, Ok)
    }

    /// The file of the user's configuration, if `open` reads it.
    pub(crate) fn users_config(&self) -> Option<PathBuf> {
        crate::config::config_path().filter(|_| self.config.is_none())
    }

    /// The supervisor program that was set.
    pub(crate) fn supervisor_program(&self) -> Option<&Path> {
        self.supervisor.as_deref()
    }

    /// The configuration to use. If the user's is refused: the defaults, and the reason.
    pub(crate) fn read_config(&self) -> Result<(Config, Option<ConfigRefusal>)> {
        match self.config.clone().map_or_else(Config::load, Ok) {
            Ok(config) => Ok((config, None)),
            Err(Error::ConfigRefused(refusal)) => Ok((Config::default(), Some(refusal))),
            Err(error) => Err(error),
        }
    }

    fn with_home(self, home: Home, (config, config_refusal): (Config, Option<ConfigRefusal>)) -> Homing {
        let ledger = LedgerFile::new(home.ledger_path(), self.busy_timeout.unwrap_or(BUSY_TIMEOUT));
        Homing {
            home,
            config,
            config_refusal,
            config_is_the_users: self.config.is_none(),
            supervisor: self.supervisor,
            detached: self.detached && !inherits_orphans(),
            recovers: self.recovers,
            ledger: Mutex::new(ledger),
            here: OnceLock::new(),
            service: OnceLock::new(),
            supervisors: Mutex::default(),
            unreadable: Mutex::default(),
        }
    }
}

/// Fails if a newer program wrote one of these jobs, because the ledger's row for it is out of date.
fn refuse_unsupported(report: SyncReport, ids: &[JobId]) -> Result<()> {
    let mut unreadable = report.unreadable.into_iter();
    match unreadable.find(|(id, error)| ids.contains(id) && error.is_unsupported()) {
        Some((_, error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// Whether this process adopts orphaned processes.
fn inherits_orphans() -> bool {
    let is_subreaper = rustix::process::child_subreaper().is_ok_and(|reaper| reaper.is_some());
    std::process::id() == 1 || is_subreaper
}

/// An open home. Any number of threads and processes may use the same home at once.
///
/// A process that is forked without `exec` must open the home again and must not use the inherited handle (SQLite
/// forbids it). While it lives, it also holds the locks that its parent held during the fork (flock(2)). So fork before
/// you open a home.
///
/// ```
/// # homing::supervise_if_asked();
/// # let folder = tempfile::tempdir()?;
/// use homing::{JobSpec, OpenOptions, WaitFor};
///
/// let homing = OpenOptions::new().home(folder.path().join("home")).open()?;
/// let job = homing.launch(JobSpec::script("echo hello")?)?;
/// let waited = homing.wait(&[job.id], WaitFor::All, None)?;
/// assert!(waited.jobs[0].outcome().is_some_and(|outcome| outcome.succeeded()));
/// assert!(homing.result_text(job.id)?.contains("hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Homing {
    pub(crate) home: Home,
    pub(crate) config: Config,
    /// Why the user's configuration is not used.
    pub(crate) config_refusal: Option<ConfigRefusal>,
    /// Whether another process reads the same configuration.
    pub(crate) config_is_the_users: bool,
    pub(crate) supervisor: Option<PathBuf>,
    /// Whether supervisors and monitors are started detached.
    pub(crate) detached: bool,
    /// Whether an update of the ledger recovers jobs.
    pub(crate) recovers: bool,
    ledger: Mutex<LedgerFile>,
    here: OnceLock<RunBy>,
    /// The systemd service that the jobs of this process end with.
    pub(crate) service: OnceLock<String>,
    /// Supervisors that this process started and has to reap.
    pub(crate) supervisors: Mutex<Vec<Child>>,
    /// Jobs that could not be read when they were last observed.
    pub(crate) unreadable: Mutex<UnreadableJobs>,
}

/// Which jobs [`Homing::list`] returns. The default is all jobs.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Only those of this session.
    pub session: Option<SessionId>,
    /// Only those in this state.
    pub state: Option<StateName>,
    /// At most so many of the newest.
    pub limit: Option<u32>,
}

/// The result of [`Homing::listing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The jobs that match, newest first.
    pub jobs: Vec<Job>,
    /// Jobs that a newer program wrote and whose known fields match.
    pub unsupported: Vec<UnsupportedJob>,
}

/// Which follow-ups [`Homing::follow_ups`] returns. The default is open ones: pending, handed off or dead.
#[derive(Clone, Debug, Default)]
pub struct FollowUpOptions {
    /// Only those of this session.
    pub session: Option<SessionId>,
    /// Only those in this state, open or not.
    pub state: Option<FollowUpState>,
    /// At most so many of the newest.
    pub limit: Option<u32>,
}

impl Homing {
    /// Opens the home that the environment names, with the user's configuration.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open() -> Result<Homing> {
        OpenOptions::new().open()
    }

    /// The path of the home.
    pub fn home_path(&self) -> &Path {
        self.home.root.path()
    }

    /// Whether the home's path still refers to the open directory. After the home was renamed or replaced, every
    /// operation fails with [`Error::HomeReplaced`]: open the home again.
    pub fn is_current(&self) -> bool {
        self.home.check_current().is_ok()
    }

    /// The path of a job's directory. It exists until the job is pruned.
    pub fn job_path(&self, id: JobId) -> PathBuf {
        self.home.jobs.path().join(id.as_str())
    }

    /// The file of the user's configuration, if it is used.
    pub(crate) fn users_config(&self) -> Option<PathBuf> {
        crate::config::config_path().filter(|_| self.config_is_the_users)
    }

    /// The configuration that is used.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Why the defaults are used instead of the user's configuration: another user can write to it. Then results are
    /// not delivered, and [`Homing::monitor`] fails.
    pub fn config_refusal(&self) -> Option<&ConfigRefusal> {
        self.config_refusal.as_ref()
    }

    /// Fails if the user's configuration was refused: then sinks must not be used.
    pub(crate) fn check_config_is_trusted(&self) -> Result<()> {
        self.config_refusal.clone().map_or(Ok(()), |refusal| Err(Error::ConfigRefused(refusal)))
    }

    /// Finds the only job whose id has this prefix.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`] and [`Error::AmbiguousJob`].
    pub fn resolve(&self, prefix: &JobIdPrefix) -> Result<JobId> {
        if let Some(id) = prefix.as_full_id() {
            return self.resolve_full(id);
        }
        self.sync()?;
        self.resolve_known(prefix)
    }

    /// Finds the jobs of these prefixes with at most one sync. Returns each job once, in the order of the prefixes.
    ///
    /// # Errors
    /// As [`Homing::resolve`], for the first prefix that does not match exactly one job.
    pub fn resolve_all(&self, prefixes: &[JobIdPrefix]) -> Result<Vec<JobId>> {
        if prefixes.iter().any(|prefix| prefix.as_full_id().is_none()) {
            self.sync()?;
        }
        let mut seen = HashSet::with_capacity(prefixes.len());
        let mut ids = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            let id = match prefix.as_full_id() {
                Some(id) => self.resolve_full(id)?,
                None => self.resolve_known(prefix)?,
            };
            if seen.insert(id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    fn resolve_full(&self, id: JobId) -> Result<JobId> {
        if self.exists(id)? { Ok(id) } else { Err(Error::NoSuchJob(id.to_string())) }
    }

    /// Finds the only job with this prefix among those that were known at the last sync.
    fn resolve_known(&self, prefix: &JobIdPrefix) -> Result<JobId> {
        let mut candidates =
            self.with_ledger(|ledger| ledger.ids_beginning_with(prefix.as_str(), MAX_CANDIDATES))?;
        match candidates.len() {
            0 => Err(Error::NoSuchJob(prefix.as_str().to_owned())),
            1 => Ok(candidates.remove(0)),
            _ => Err(Error::AmbiguousJob { prefix: prefix.as_str().to_owned(), candidates }),
        }
    }

    pub(crate) fn exists(&self, id: JobId) -> Result<bool> {
        if self.home.jobs.contains(id.as_str()) {
            return Ok(true);
        }
        Ok(self.with_ledger(|ledger| ledger.job(id))?.is_some())
    }

    /// Returns the current state of a job.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`] if it does not exist.
    pub fn get(&self, id: JobId) -> Result<Job> {
        refuse_unsupported(self.sync()?, &[id])?;
        self.known(id)
    }

    /// Returns the current state of several jobs with one sync, in the order of `ids`.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`] for the first that does not exist.
    pub fn get_all(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        refuse_unsupported(self.sync()?, ids)?;
        ids.iter().map(|id| self.known(*id)).collect()
    }

    /// A job as it was at the last sync.
    fn known(&self, id: JobId) -> Result<Job> {
        let mut job = self.with_ledger(|ledger| ledger.job(id))?;
        if job.is_none() {
            // Its directory may exist even so, if its inbox entry was lost.
            self.sync_jobs(&[id])?;
            job = self.with_ledger(|ledger| ledger.job(id))?;
        }
        let job = job.ok_or_else(|| self.missing(id))?;
        let mut job = job.map_err(|UnsupportedJob { id, reason }| Error::Unsupported { job: id, reason })?;
        self.measure_output(&mut job);
        Ok(job)
    }

    /// Why a job is not in the ledger after it was observed.
    fn missing(&self, id: JobId) -> Error {
        match self.unreadable_jobs().into_iter().find(|job| job.id == id) {
            Some(job) => Error::JobUnreadable { job: id, reason: job.reason },
            None => Error::NoSuchJob(id.to_string()),
        }
    }

    /// The jobs that match, newest first.
    ///
    /// # Errors
    /// When the home or the ledger cannot be read.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<Job>> {
        Ok(self.listing(options)?.jobs)
    }

    /// As [`Homing::list`]. Also returns the jobs that are left out because a newer program wrote them in a format that
    /// this one does not support.
    ///
    /// # Errors
    /// As [`Homing::list`].
    pub fn listing(&self, options: &ListOptions) -> Result<Listing> {
        let options = options.clone();
        self.jobs(JobFilter {
            session: options.session,
            state: options.state,
            limit: options.limit,
            ..JobFilter::default()
        })
    }

    /// The jobs whose follow-ups match, newest first.
    ///
    /// # Errors
    /// When the home or the ledger cannot be read.
    pub fn follow_ups(&self, options: &FollowUpOptions) -> Result<Vec<Job>> {
        let options = options.clone();
        let listing = self.jobs(JobFilter {
            session: options.session,
            follow_up: options.state,
            open_follow_ups: options.state.is_none(),
            limit: options.limit,
            ..JobFilter::default()
        })?;
        Ok(listing.jobs)
    }

    fn jobs(&self, filter: JobFilter) -> Result<Listing> {
        self.sync()?;
        let mut listing = Listing::default();
        for row in self.with_ledger(|ledger| ledger.jobs(&filter))? {
            match row {
                Ok(mut job) => {
                    self.measure_output(&mut job);
                    listing.jobs.push(job);
                }
                Err(unsupported) => listing.unsupported.push(unsupported),
            }
        }
        Ok(listing)
    }

    /// Runs `work` on the ledger. Sets a damaged ledger aside, rebuilds it from the job directories and runs `work` again.
    pub(crate) fn with_ledger<T>(&self, work: impl FnMut(&mut Ledger) -> rusqlite::Result<T>) -> Result<T> {
        self.work_on_ledger(work, || self.full_scan().map(drop))
    }

    /// As [`Homing::with_ledger`], for the scan that rebuilds the ledger: it must not start another scan.
    pub(crate) fn with_ledger_being_rebuilt<T>(
        &self,
        work: impl FnMut(&mut Ledger) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.work_on_ledger(work, || Ok(()))
    }

    /// Runs `work` on the ledger, unless the home was replaced. If the ledger is damaged and was set aside, calls `fill`
    /// for the new one first.
    fn work_on_ledger<T>(
        &self,
        mut work: impl FnMut(&mut Ledger) -> rusqlite::Result<T>,
        fill: impl FnOnce() -> Result<()>,
    ) -> Result<T> {
        self.home.check_current()?;
        let first = self.ledger_file().with(&self.home.root, &mut work);
        match first {
            Ok(done) => return Ok(done),
            Err(LedgerProblem::Error(error)) => return Err(error),
            Err(LedgerProblem::Damaged { .. }) => fill()?,
            Err(LedgerProblem::Closed(_)) => {}
        }
        self.ledger_file().with(&self.home.root, &mut work).map_err(|problem| match problem {
            LedgerProblem::Error(error) | LedgerProblem::Closed(error) => error,
            LedgerProblem::Damaged { kept_as } => Error::Ledger {
                path: kept_as,
                source: rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
                    Some("damaged again right after it was rebuilt".to_owned()),
                ),
            },
        })
    }

    fn ledger_file(&self) -> MutexGuard<'_, LedgerFile> {
        // A panic in another thread cannot leave partial changes: every change is one transaction.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> homing_core::Timestamp {
        homing_core::Timestamp::from_unix_millis(clock::wall_millis())
    }

    /// Where this process runs. Read once: only the host's name can change while a process lives.
    pub(crate) fn here(&self) -> Result<&RunBy, DiskError> {
        if let Some(here) = self.here.get() {
            return Ok(here);
        }
        let here = RunBy::this_process().map_err(|error| DiskError::new("read", "/proc", error))?;
        Ok(self.here.get_or_init(|| here))
    }

    /// Opens the directory of a job; `None` if it does not exist.
    pub(crate) fn open_job_if_there(&self, id: JobId) -> Result<Option<Directory>, DiskError> {
        match self.home.jobs.open_job(id) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
