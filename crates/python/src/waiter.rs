//! Waits in one thread for everything that an event loop cannot wait for itself: on Windows, event loops do not wait for
//! the objects of the system. The thread belongs to Python (`homing/_readers.py`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homing::{Error, OwnedWaitSource, WaitSource};
use homing_supervisor::platform::notifier::Notifier;
use homing_supervisor::platform::wait::{AsWaitSource, is_ready_within, wait};
use pyo3::prelude::*;

use crate::errors::Result;

/// Something that a [`Waiter`] waits for.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Source {
    source: Arc<OwnedWaitSource>,
}

impl Source {
    /// A copy of this source, which does not depend on its owner.
    pub(crate) fn of(source: WaitSource<'_>) -> Result<Source> {
        let source = source.try_clone_to_owned();
        let source = source.map_err(|error| Error::InvalidRequest(format!("cannot wait for it: {error}")))?;
        Ok(Source { source: Arc::new(source) })
    }
}

/// Waits for any number of sources. Each is reported once, and then not waited for until it is armed again: its owner needs
/// time to read.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Waiter {
    state: Mutex<State>,
    /// Ready after each change of the state.
    changed: Notifier,
}

#[derive(Default)]
struct State {
    armed: BTreeMap<u64, Arc<OwnedWaitSource>>,
    is_stopped: bool,
}

impl Waiter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sources that are ready, which are then no longer armed; `None` after the end.
    fn take_ready(&self) -> Option<Vec<u64>> {
        let mut state = self.state();
        if state.is_stopped {
            return None;
        }
        // If the system does not answer, the owner reads too early, which is harmless.
        let is_ready =
            |source: &OwnedWaitSource| is_ready_within(source.source(), Duration::ZERO).unwrap_or(true);
        let ready: Vec<u64> =
            state.armed.iter().filter(|(_, source)| is_ready(source)).map(|(number, _)| *number).collect();
        state.armed.retain(|number, _| !ready.contains(number));
        Some(ready)
    }

    fn wait_until_ready(&self) -> Vec<u64> {
        loop {
            // Before looking: a later change makes it ready again.
            self.changed.clear();
            match self.take_ready() {
                Some(ready) if ready.is_empty() => {}
                Some(ready) => return ready,
                None => return Vec::new(),
            }
            let armed: Vec<Arc<OwnedWaitSource>> = self.state().armed.values().map(Arc::clone).collect();
            let mut sources = vec![self.changed.as_wait_source()];
            sources.extend(armed.iter().map(|source| source.source()));
            // Fails only without memory; then this looks earlier.
            let _ = wait(&sources, None);
        }
    }
}

#[pymethods]
impl Waiter {
    #[new]
    fn new() -> Result<Waiter> {
        let changed = Notifier::new();
        let changed = changed.map_err(|error| Error::InvalidRequest(format!("cannot wait: {error}")))?;
        Ok(Waiter { state: Mutex::default(), changed })
    }

    /// Waits for a source from now on. `number` stands for it.
    fn arm(&self, number: u64, source: &Source) {
        self.state().armed.insert(number, Arc::clone(&source.source));
        self.changed.notify();
    }

    /// Does not wait for a source any more.
    fn disarm(&self, number: u64) {
        self.state().armed.remove(&number);
        self.changed.notify();
    }

    /// Waits without the interpreter lock until sources are ready. Returns their numbers; none after `stop`. Call it in one
    /// thread only, and not in the main thread: signal handlers do not interrupt it.
    fn wait(&self, py: Python<'_>) -> Vec<u64> {
        py.detach(|| self.wait_until_ready())
    }

    /// Ends the wait, and all later ones.
    fn stop(&self) {
        self.state().is_stopped = true;
        self.changed.notify();
    }
}
