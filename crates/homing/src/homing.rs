//! The door itself: an open home, and everything that can be asked of it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use homing_core::{FollowUpState, Job, JobId, JobIdPrefix, SessionId, StateName};
use homing_supervisor::DiskError;
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::{RunBy, clock};

use crate::config::{Config, ConfigRefusal};
use crate::index::report::SyncReport;
use crate::index::unreadable::UnreadableJobs;
use crate::ledger::{JobFilter, Ledger, LedgerFile, LedgerProblem, UnsupportedJob};
use crate::store::home::Home;
use crate::{Error, Result};

/// How long a locked ledger is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Most candidates that an ambiguous prefix is answered with.
const MAX_CANDIDATES: u32 = 10;

/// How a home is opened.
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
    /// The home that the environment names, and the user's configuration.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Sets the home; an absolute path.
    #[must_use]
    pub fn home(self, path: impl Into<PathBuf>) -> OpenOptions {
        OpenOptions { home: Some(path.into()), ..self }
    }

    /// Sets the configuration instead of reading the user's.
    #[must_use]
    pub fn config(self, config: Config) -> OpenOptions {
        OpenOptions { config: Some(config), ..self }
    }

    /// Sets the program that supervises jobs. Without this it is the one that `HOMING_SUPERVISOR` names, else this
    /// program where it called [`supervise_if_asked`](crate::supervise_if_asked), else `homing` beside it or in `PATH`.
    #[must_use]
    pub fn supervisor(self, program: impl Into<PathBuf>) -> OpenOptions {
        OpenOptions { supervisor: Some(program.into()), ..self }
    }

    /// Starts supervisors and monitors so that they are no children of this process: it has nothing to reap, whoever
    /// waits for all its children does not wait for jobs, and whoever ends its process tree does not end them. For
    /// hosts that live on; costs a fork of the small supervisor at each launch. Where this process is what orphans
    /// come to anyway (process 1 of a container, a subreaper), they stay children, and are reaped at the next call.
    #[must_use]
    pub fn detached(self) -> OpenOptions {
        OpenOptions { detached: true, ..self }
    }

    /// Recovers jobs whose supervisor died whenever this home is brought up to date ([`Homing::recover`]). For servers that
    /// live on; a home that is opened without this reads only.
    #[must_use]
    pub fn recovers(self) -> OpenOptions {
        OpenOptions { recovers: true, ..self }
    }

    /// Sets how long a ledger that another process has locked is waited for; 10 s otherwise.
    #[must_use]
    pub fn busy_timeout(self, timeout: Duration) -> OpenOptions {
        OpenOptions { busy_timeout: Some(timeout), ..self }
    }

    /// Opens the home, and makes it where it does not exist. The ledger is opened only when it is needed.
    ///
    /// A configuration that somebody else could have written is not used: see [`Homing::config_refusal`].
    ///
    /// # Errors
    /// When the home cannot be used safely, or the configuration is wrong.
    pub fn open(self) -> Result<Homing> {
        let (path, config) = (self.home_path()?, self.read_config()?);
        Ok(self.with_home(Home::open(&path)?, config))
    }

    /// Opens the home for a caller that launches nothing: `None` where it does not exist. Creates no home, so that
    /// reading leaves no trace; a home that does not exist has no jobs.
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

    /// The file of the user's configuration, where that is to be read.
    pub(crate) fn users_config(&self) -> Option<PathBuf> {
        crate::config::config_path().filter(|_| self.config.is_none())
    }

    /// The program that was set to supervise jobs.
    pub(crate) fn supervisor_program(&self) -> Option<&Path> {
        self.supervisor.as_deref()
    }

    /// The configuration to use; with the defaults, why the user's is not used.
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

/// Fails where one of these jobs was written by a newer program: what the ledger knew of it is out of date.
fn refuse_unsupported(report: SyncReport, ids: &[JobId]) -> Result<()> {
    let mut unreadable = report.unreadable.into_iter();
    match unreadable.find(|(id, error)| ids.contains(id) && error.is_unsupported()) {
        Some((_, error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// Whether processes whose parent has died become children of this one.
fn inherits_orphans() -> bool {
    let is_subreaper = rustix::process::child_subreaper().is_ok_and(|reaper| reaper.is_some());
    std::process::id() == 1 || is_subreaper
}

/// An open home. Any number of threads and processes may use the same home at once.
///
/// A process that is forked without `exec` opens the home for itself, and does not touch what it took over (a rule of
/// SQLite's). As long as it lives it holds what its parent had locked in the instant of the fork (flock(2)), so a host
/// that forks like that does it before it opens a home.
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
    /// Whether what this process starts is to be no child of it.
    pub(crate) detached: bool,
    /// Whether bringing it up to date recovers jobs.
    pub(crate) recovers: bool,
    ledger: Mutex<LedgerFile>,
    here: OnceLock<RunBy>,
    /// The service of systemd that the jobs of this process end with.
    pub(crate) service: OnceLock<String>,
    /// Supervisors that this process started and has to reap: the kernel keeps what is left of them until then.
    pub(crate) supervisors: Mutex<Vec<Child>>,
    /// Jobs that could not be read when they were last looked at.
    pub(crate) unreadable: Mutex<UnreadableJobs>,
}

/// Which jobs [`Homing::list`] shows. The default is all of them.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Only those of this session.
    pub session: Option<SessionId>,
    /// Only those in this state.
    pub state: Option<StateName>,
    /// At most so many of the newest.
    pub limit: Option<u32>,
}

/// What [`Homing::listing`] shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The jobs that match, newest first.
    pub jobs: Vec<Job>,
    /// Jobs that match as far as is known, and that a newer program wrote.
    pub unsupported: Vec<UnsupportedJob>,
}

/// Which follow-ups [`Homing::follow_ups`] shows. The default is those that are open: pending, handed off or dead.
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

    /// Where the home is.
    pub fn home_path(&self) -> &Path {
        self.home.root.path()
    }

    /// Whether the home's path still means the directory that is open. Where it does not, because the home was renamed or
    /// replaced, every operation fails with [`Error::HomeReplaced`]: a host that lives on opens the home anew.
    pub fn is_current(&self) -> bool {
        self.home.check_current().is_ok()
    }

    /// Where a job's directory is, as long as the job is kept.
    pub fn job_path(&self, id: JobId) -> PathBuf {
        self.home.jobs.path().join(id.as_str())
    }

    /// The file of the user's configuration, where that is in force.
    pub(crate) fn users_config(&self) -> Option<PathBuf> {
        crate::config::config_path().filter(|_| self.config_is_the_users)
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Why the user's configuration is not used, and the defaults are: somebody else could have written it. Then no session
    /// is woken: [`Homing::monitor`] is an error.
    pub fn config_refusal(&self) -> Option<&ConfigRefusal> {
        self.config_refusal.as_ref()
    }

    /// Checks that sinks may be used.
    pub(crate) fn check_config_is_trusted(&self) -> Result<()> {
        self.config_refusal.clone().map_or(Ok(()), |refusal| Err(Error::ConfigRefused(refusal)))
    }

    /// Finds the one job whose id begins like that.
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

    /// The jobs that these prefixes mean, each once, in the order in which they were named, with at most one sync for all
    /// of them.
    ///
    /// # Errors
    /// As [`Homing::resolve`], for the first that means no job, or several.
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

    /// The one job that was known at the last sync and whose id begins like that.
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

    /// One job, as it is now.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`] where there is none of that id.
    pub fn get(&self, id: JobId) -> Result<Job> {
        refuse_unsupported(self.sync()?, &[id])?;
        self.known(id)
    }

    /// Several jobs in the order asked for, as they are now, with one sync for all of them.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`] for the first that does not exist.
    pub fn get_all(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        refuse_unsupported(self.sync()?, ids)?;
        ids.iter().map(|id| self.known(*id)).collect()
    }

    /// One job, as it was at the last sync.
    fn known(&self, id: JobId) -> Result<Job> {
        let mut job = self.with_ledger(|ledger| ledger.job(id))?;
        if job.is_none() {
            // Its directory may be there all the same, where a doorbell got lost.
            self.sync_jobs(&[id])?;
            job = self.with_ledger(|ledger| ledger.job(id))?;
        }
        let job = job.ok_or_else(|| self.missing(id))?;
        let mut job = job.map_err(|UnsupportedJob { id, reason }| Error::Unsupported { job: id, reason })?;
        self.measure_output(&mut job);
        Ok(job)
    }

    /// Why a job is not in the ledger after it was looked at.
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

    /// As [`Homing::list`], and says which jobs are left out because a newer program wrote them in a way that this one
    /// does not know.
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

    /// Works on the ledger. A damaged one is set aside, rebuilt from the job directories, and the work done again.
    pub(crate) fn with_ledger<T>(&self, work: impl FnMut(&mut Ledger) -> rusqlite::Result<T>) -> Result<T> {
        self.work_on_ledger(work, || self.full_scan().map(drop))
    }

    /// As [`Homing::with_ledger`], for the scan that rebuilds it: it must not ask for another scan.
    pub(crate) fn with_ledger_being_rebuilt<T>(
        &self,
        work: impl FnMut(&mut Ledger) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.work_on_ledger(work, || Ok(()))
    }

    /// Works on the ledger, unless the home was replaced; where it turns out to be damaged and lies aside now, fills the new one and works on that.
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
        // A panic elsewhere leaves no half-done work behind: every change is one transaction.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> homing_core::Timestamp {
        homing_core::Timestamp::from_unix_millis(clock::wall_millis())
    }

    /// Where this process runs. Found out once: none of it changes while a process lives, but the host's name.
    pub(crate) fn here(&self) -> Result<&RunBy, DiskError> {
        if let Some(here) = self.here.get() {
            return Ok(here);
        }
        let here = RunBy::this_process().map_err(|error| DiskError::new("read", "/proc", error))?;
        Ok(self.here.get_or_init(|| here))
    }

    /// The directory of a job; `None` where there is none.
    pub(crate) fn open_job_if_there(&self, id: JobId) -> Result<Option<Directory>, DiskError> {
        match self.home.jobs.open_job(id) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
