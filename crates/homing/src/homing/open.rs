//! Opens a home.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use homing_core::{Actor, JobId, SessionId};

use super::Homing;
use crate::Result;
use crate::check::Check;
use crate::config::{Config, LoadedConfig};
use crate::context::Context;
use crate::doctor::checks_without_home;
use crate::error::ConfigRefusal;
use crate::ledger::LedgerFile;
use crate::store::home::Home;
use crate::store::job_store::JobStore;

/// How long an operation waits for a locked ledger.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Options for opening a home.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    home: Option<PathBuf>,
    config: Option<Config>,
    supervisor: Option<PathBuf>,
    busy_timeout: Option<Duration>,
    detached: bool,
    recovers: bool,
    actor: Option<Actor>,
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

    /// Sets to whom [events](crate::Event) attribute the changes. The default is this process, with the session that the
    /// environment names.
    #[must_use]
    pub fn actor(self, actor: Actor) -> OpenOptions {
        OpenOptions { actor: Some(actor), ..self }
    }

    /// Opens the home and creates it if it does not exist. The ledger is opened on first use.
    ///
    /// Ignores a configuration that another user can write to: see [`Homing::config_refusal`].
    ///
    /// # Errors
    /// When the home cannot be used safely, or the configuration is wrong.
    pub fn open(self) -> Result<Homing> {
        let (path, config) = (self.home_path()?, LoadedConfig::load(self.config.clone())?);
        Ok(self.with_home(Home::open(&path)?, config))
    }

    /// Opens the home for a caller that does not launch jobs. Returns `None` if the home does not exist, and never
    /// creates it.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open_existing(self) -> Result<Option<Homing>> {
        let (path, config) = (self.home_path()?, LoadedConfig::load(self.config.clone())?);
        Ok(Home::open_existing(&path)?.map(|home| self.with_home(home, config)))
    }

    fn home_path(&self) -> Result<PathBuf> {
        self.home.clone().map_or_else(Home::default_path, Ok)
    }

    fn with_home(self, home: Home, loaded: LoadedConfig) -> Homing {
        let ledger = LedgerFile::new(home.ledger_path(), self.busy_timeout.unwrap_or(BUSY_TIMEOUT))
            .keeping_events(loaded.config.retention.events);
        let store = JobStore::new(home, loaded, self.supervisor, self.detached);
        let context = Context::new(store, ledger, self.recovers);
        let context = match self.actor {
            Some(actor) => context.attributed_to(actor),
            None => context,
        };
        Homing { context: Arc::new(context) }
    }

    /// As [`Homing::doctor`]. If the home does not exist, runs the checks that do not need one. Never creates a home.
    ///
    /// # Errors
    /// As [`OpenOptions::open`] and [`Homing::doctor`].
    pub fn doctor(self) -> Result<Vec<Check>> {
        let (path, supervisor) = (self.home_path()?, self.supervisor.clone());
        let loaded = LoadedConfig::load(self.config.clone())?;
        match self.open_existing()? {
            Some(homing) => homing.doctor(),
            None => Ok(checks_without_home(&path, supervisor.as_deref(), &loaded)),
        }
    }
}

impl Homing {
    /// Opens the home that the environment names, with the user's configuration.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open() -> Result<Homing> {
        OpenOptions::new().open()
    }

    /// The same home, whose changes are attributed to another actor in [events](crate::Event): for a server that acts for
    /// others. Cheap. The user and the process of the actor are those of this process if they are not set.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let job = homing.launch(homing::JobSpec::script("true")?)?;
    /// # homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// homing.with_actor(homing::Actor::token("laptop")).acknowledge(&[job.id])?;
    /// let events = homing.newest_events(&homing::EventOptions::default())?.events;
    /// assert_eq!(events.last().and_then(|event| event.actor.token.as_deref()), Some("laptop"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_actor(&self, actor: Actor) -> Homing {
        Homing { context: Arc::new(self.context.attributed_to(actor)) }
    }

    /// The same home, whose changes are attributed in [events](crate::Event) to this process, or to the actor that was set,
    /// for a session. Operations that name the session of their caller do this themselves.
    #[must_use]
    pub fn for_session(&self, session: &SessionId) -> Homing {
        Homing { context: Arc::new(self.context.for_session(session)) }
    }

    pub(crate) fn into_context(self) -> Arc<Context> {
        self.context
    }

    /// The path of the home.
    pub fn home_path(&self) -> &Path {
        self.context.store.home.root.path()
    }

    /// Whether the home's path still refers to the open directory. After the home was renamed or replaced, every
    /// operation fails with [`Error::HomeReplaced`](crate::Error::HomeReplaced): open the home again.
    pub fn is_current(&self) -> bool {
        self.context.store.home.check_current().is_ok()
    }

    /// The path of a job's directory. It exists until the job is pruned.
    pub fn job_path(&self, id: JobId) -> PathBuf {
        self.context.store.home.jobs.path().join(id.as_str())
    }

    /// The configuration that is used.
    pub fn config(&self) -> &Config {
        self.context.config()
    }

    /// Why the defaults are used instead of the user's configuration: another user can write to it. Then results are
    /// not delivered, and [`Homing::monitor`] fails.
    pub fn config_refusal(&self) -> Option<&ConfigRefusal> {
        self.context.store.loaded.refusal.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Error;
    use crate::ledger::Ledger;

    #[test]
    fn an_error_after_the_home_was_renamed_names_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let homing = OpenOptions::new().home(&path).open().unwrap();
        let failing = |_: &mut Ledger| -> rusqlite::Result<()> {
            fs::rename(&path, folder.path().join("away")).unwrap();
            Err(rusqlite::Error::InvalidQuery)
        };
        let error = homing.context.work_on_ledger(failing, || Ok(())).unwrap_err();
        assert!(matches!(error, Error::HomeReplaced { .. }), "{error}");
    }
}
