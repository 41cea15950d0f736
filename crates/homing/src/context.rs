//! The state that all operations share: the jobs on disk, the configuration, and the ledger.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use homing_core::{Actor, SessionId, Timestamp};

use crate::actor::{process_ids, this_process};
use crate::config::Config;
use crate::ledger::{Ledger, LedgerFile, LedgerProblem, damaged_again};
use crate::store::job_store::JobStore;
use crate::store::unreadable::UnreadableJobs;
use crate::{Error, Result};

/// An open home with its ledger. Copies share everything except the actor.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) store: Arc<JobStore>,
    /// Whether an update of the ledger recovers jobs.
    pub(crate) recovers: bool,
    /// Who makes the changes.
    actor: Arc<Actor>,
    ledger: Arc<Mutex<LedgerFile>>,
    unreadable: Arc<Mutex<UnreadableJobs>>,
}

impl Context {
    pub(crate) fn new(store: JobStore, ledger: LedgerFile, recovers: bool) -> Context {
        Context {
            store: Arc::new(store),
            recovers,
            actor: Arc::new(this_process()),
            ledger: Arc::new(Mutex::new(ledger)),
            unreadable: Arc::default(),
        }
    }

    /// The same home, whose changes are attributed to another actor. User and process are those of this process if they
    /// are not set.
    pub(crate) fn attributed_to(&self, mut actor: Actor) -> Context {
        let own = process_ids();
        actor.uid = actor.uid.or(own.uid);
        actor.pid = actor.pid.or(own.pid);
        Context { actor: Arc::new(actor), ..self.clone() }
    }

    /// The same home, whose changes are made for a session.
    pub(crate) fn for_session(&self, session: &SessionId) -> Context {
        let actor = Actor::clone(&self.actor).for_session(session.clone());
        Context { actor: Arc::new(actor), ..self.clone() }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.store.loaded.config
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// Jobs that could not be read when they were last observed.
    pub(crate) fn unreadable(&self) -> MutexGuard<'_, UnreadableJobs> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the ledger, unless the home was replaced. If the ledger is damaged and was set aside, calls `fill`
    /// for the new one first.
    pub(crate) fn work_on_ledger<T>(
        &self,
        mut work: impl FnMut(&mut Ledger) -> rusqlite::Result<T>,
        fill: impl FnOnce() -> Result<()>,
    ) -> Result<T> {
        let home = &self.store.home;
        home.check_current()?;
        let first = self.ledger_file().attributed_to(&self.actor).with(&home.root, &mut work);
        match first {
            Ok(done) => return Ok(done),
            Err(LedgerProblem::Error(error)) => return Err(self.cause_of(error)),
            Err(LedgerProblem::Damaged { kept_as }) => {
                tracing::warn!(kept_as = %kept_as.display(), "the ledger is damaged; rebuilding it");
                fill()?;
            }
            Err(LedgerProblem::Closed(_)) => {}
        }
        let second = self.ledger_file().attributed_to(&self.actor).with(&home.root, &mut work);
        second.map_err(|problem| match problem {
            LedgerProblem::Error(error) | LedgerProblem::Closed(error) => self.cause_of(error),
            LedgerProblem::Damaged { kept_as } => damaged_again(kept_as),
        })
    }

    /// Returns the error of a replaced home if the home was replaced since it was checked: it explains the other one.
    fn cause_of(&self, error: Error) -> Error {
        self.store.home.check_current().err().unwrap_or(error)
    }

    fn ledger_file(&self) -> MutexGuard<'_, LedgerFile> {
        // A panic in another thread cannot leave partial changes: every change is one transaction.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
