//! Waits for jobs in an event loop.

use std::sync::{Mutex, PoisonError};

use homing::{JobId, JobWatch};
use pyo3::prelude::*;

use crate::errors::Result;
use crate::waiter::Source;

/// Reports which of many jobs may have changed. Readable when there are changes.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Watch {
    watch: JobWatch,
}

impl Watch {
    pub(crate) fn new(watch: JobWatch) -> Watch {
        Watch { watch }
    }
}

#[pymethods]
impl Watch {
    /// `None` if event loops of this system cannot wait for it.
    fn fileno(&self) -> Option<i32> {
        self.watch.readable().descriptor()
    }

    /// For a `Waiter`, if event loops cannot wait for it.
    fn source(&self) -> Result<Source> {
        Source::of(self.watch.readable())
    }

    /// Watches a job. Returns `false` if the kernel has no watch left.
    fn add(&self, id: &str) -> Result<bool> {
        Ok(self.watch.add(id.parse()?).is_ok())
    }

    fn remove(&self, id: &str) -> Result<()> {
        self.watch.remove(id.parse()?);
        Ok(())
    }

    /// The jobs that may have changed since the last call.
    fn changed(&self) -> Vec<String> {
        self.watch.changed().iter().map(JobId::to_string).collect()
    }
}

/// Holds delivery of jobs that a caller waits for, until it is released.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct DeliveryHold {
    held: Mutex<Vec<homing::DeliveryHold>>,
}

impl DeliveryHold {
    pub(crate) fn new(held: Vec<homing::DeliveryHold>) -> DeliveryHold {
        DeliveryHold { held: Mutex::new(held) }
    }
}

#[pymethods]
impl DeliveryHold {
    fn release(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
