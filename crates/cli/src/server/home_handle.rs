//! The home that is served. A server may run for days, so it reopens the home when the configuration has changed.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use homing::{Acknowledge, Config, Homing, OpenOptions};

use crate::open::warn_of_refused_config;

/// A home with its current configuration. The first launch creates it, not the start of a server.
pub(crate) struct HomeHandle {
    open: Mutex<Option<(Stamp, Homing)>>,
    /// Whether the warning about a refused configuration was printed.
    warned: OnceLock<()>,
}

/// Identifies a version of a file: modification time and length.
type Stamp = Option<(SystemTime, u64)>;

impl HomeHandle {
    /// Opens the home that the environment names, if it exists.
    ///
    /// # Errors
    /// When the home cannot be used safely, or the configuration is wrong.
    pub(crate) fn open() -> homing::Result<HomeHandle> {
        let home = HomeHandle { open: Mutex::default(), warned: OnceLock::new() };
        home.existing()?;
        Ok(home)
    }

    /// The home with its current configuration. Creates it if it does not exist.
    ///
    /// # Errors
    /// As [`HomeHandle::open`].
    pub(crate) fn homing(&self) -> homing::Result<Homing> {
        let opened = self.opened(|options| options.open().map(Some))?;
        Ok(opened.expect("open() creates the home or fails"))
    }

    /// The home with its current configuration; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`HomeHandle::open`].
    pub(crate) fn existing(&self) -> homing::Result<Option<Homing>> {
        self.opened(OpenOptions::open_existing)
    }

    /// Whether a sink of the configuration needs explicit acknowledgements. Without a home, reads the configuration. An
    /// error is reported by the first call that needs the home.
    pub(crate) fn needs_acknowledgements(&self) -> bool {
        let is_explicit =
            |config: &Config| config.sinks.values().any(|sink| sink.acknowledge == Acknowledge::Explicit);
        self.of_config(is_explicit).unwrap_or(false)
    }

    /// The names of the configured executors.
    pub(crate) fn executors(&self) -> Vec<String> {
        self.of_config(|config| config.executors.keys().cloned().collect()).unwrap_or_default()
    }

    /// Reads the configuration; `None` if it cannot be read. The home need not exist.
    fn of_config<T>(&self, read: impl FnOnce(&Config) -> T) -> Option<T> {
        match self.existing() {
            Ok(Some(homing)) => Some(read(homing.config())),
            Ok(None) => Config::load().ok().map(|config| read(&config)),
            Err(_) => None,
        }
    }

    fn opened(
        &self,
        open: impl FnOnce(OpenOptions) -> homing::Result<Option<Homing>>,
    ) -> homing::Result<Option<Homing>> {
        let mut opened_home = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Stamp before reading: the next call notices a change in between.
        let stamp = stamp();
        let was_refused = |homing: &Homing| homing.config_refusal().is_some();
        let is_stale = |homing: &Homing| was_refused(homing) || !homing.is_current();
        if opened_home.as_ref().is_none_or(|(read, homing)| *read != stamp || is_stale(homing)) {
            // A client may kill the process tree of its server. The jobs must survive that.
            let opened = open(OpenOptions::new().detached().recovers())?;
            if let Some(homing) = opened.as_ref().filter(|homing| was_refused(homing)) {
                self.warned.get_or_init(|| warn_of_refused_config(homing));
            }
            *opened_home = opened.map(|homing| (stamp, homing));
        }
        Ok(opened_home.as_ref().map(|(_, homing)| homing.clone()))
    }
}

fn stamp() -> Stamp {
    let status = std::fs::metadata(homing::config_path()?).ok()?;
    Some((status.modified().ok()?, status.len()))
}
