//! The job directories of an open home, and what this process needs to launch and end jobs. Does not use the ledger.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use homing_core::{JobId, Timestamp};
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::clock;
use homing_supervisor::platform::process::adopts_orphans;
use homing_supervisor::{DETACHED_ARGUMENT, DiskError, RunBy};

use crate::config::LoadedConfig;
use crate::store::home::Home;
use crate::store::started::StartedProcess;

/// The jobs of an open home.
#[derive(Debug)]
pub(crate) struct JobStore {
    pub(crate) home: Home,
    pub(crate) loaded: LoadedConfig,
    /// The supervisor program that the host set.
    pub(crate) supervisor: Option<PathBuf>,
    /// Whether supervisors and monitors are started detached.
    detached: bool,
    here: OnceLock<RunBy>,
    /// The systemd service that the jobs of this process end with.
    pub(super) service: OnceLock<String>,
    /// Processes that this process started and has to reap.
    children: Mutex<Vec<StartedProcess>>,
}

impl JobStore {
    pub(crate) fn new(
        home: Home,
        loaded: LoadedConfig,
        supervisor: Option<PathBuf>,
        detached: bool,
    ) -> JobStore {
        JobStore {
            home,
            loaded,
            supervisor,
            detached: detached && !adopts_orphans(),
            here: OnceLock::new(),
            service: OnceLock::new(),
            children: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(clock::wall_millis())
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
    pub(crate) fn find_job(&self, id: JobId) -> Result<Option<Directory>, DiskError> {
        self.home.jobs.find_directory(id.as_str())
    }

    /// Whether started processes detach from this one.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached
    }

    /// The argument that makes a started process detach from this one, if it should.
    pub(crate) fn detached_argument(&self) -> Option<&'static str> {
        self.detached.then_some(DETACHED_ARGUMENT)
    }

    /// Keeps a started process, to reap it later.
    pub(crate) fn keep_child(&self, mut started: StartedProcess) {
        // A detached supervisor has left a process that ended at once.
        if let StartedProcess::Program(child) = &mut started
            && self.detached
            && child.is_gone_after_fork()
        {
            return;
        }
        self.keep_child_unawaited(started);
    }

    /// As [`JobStore::keep_child`], for a process that may have been stopped before it detached: does not wait for it.
    pub(crate) fn keep_child_unawaited(&self, started: StartedProcess) {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).push(started);
    }

    /// Reaps the processes that have ended.
    pub(crate) fn reap_children(&self) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| !child.is_reaped());
    }
}
