//! Lets a Python signal handler end a wait without polling. Python writes to a place of ours when a signal arrives
//! (`signal.set_wakeup_fd`), in whichever thread. Handlers run in the main thread only, so waits in other threads are
//! not interrupted, as in the rest of Python.

use std::time::Duration;

use homing::{Interruption, WaitSource};
use homing_supervisor::platform::wait::{AsWaitSource, wait};
use homing_supervisor::platform::wakeup::Wakeup;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::Result;

/// Polling interval if the kernel has no watch left.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(100);

/// The value of `signal.set_wakeup_fd` for no descriptor.
const NONE: i64 = -1;

/// Waits without the interpreter lock. If a signal handler raises, the wait ends with that exception.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    wait: impl Send + FnOnce(&mut Interruption<'_>) -> homing::Result<T>,
) -> Result<T> {
    let signals = Signals::open(py);
    let mut raised = None;
    let waited = py.detach(|| {
        let mut came = || {
            raised = Python::attach(|py| run_handlers(py, signals.as_ref())).err();
            raised.is_some()
        };
        let readable = signals.as_ref().map(|signals| signals.wakeup.as_wait_source());
        wait(&mut Interruption { readable, came: &mut came })
    });
    let closed = close(py, signals);
    match raised {
        Some(raised) => Err(raised.into()),
        None => {
            closed?;
            Ok(waited?)
        }
    }
}

/// Waits until the source is readable; without one, for a short time. A signal handler that raises ends the wait.
pub(crate) fn until_readable(py: Python<'_>, source: Option<WaitSource<'_>>) -> Result<()> {
    let sources: Vec<WaitSource<'_>> = source.into_iter().collect();
    wait_for(py, &sources, source.is_none().then_some(FALLBACK_INTERVAL))
}

/// Waits until one of the sources is ready, or until the timeout expires. A signal handler that raises ends the wait.
pub(crate) fn wait_for(py: Python<'_>, sources: &[WaitSource<'_>], timeout: Option<Duration>) -> Result<()> {
    let signals = Signals::open(py);
    // Signals that arrived before Python knew where to write.
    let mut handled = py.check_signals();
    if handled.is_ok() {
        py.detach(|| {
            let signals = signals.as_ref().map(|signals| signals.wakeup.as_wait_source());
            let sources: Vec<WaitSource<'_>> = sources.iter().copied().chain(signals).collect();
            // Fails only without memory; then the caller checks earlier.
            let _ = wait(&sources, timeout);
        });
        handled = run_handlers(py, signals.as_ref());
    }
    let closed = close(py, signals);
    Ok(handled.and(closed)?)
}

/// Runs the handlers of pending signals.
fn run_handlers(py: Python<'_>, signals: Option<&Signals>) -> PyResult<()> {
    // Taken first: a signal that arrives later ends the wait again.
    let taken = signals.map(|signals| signals.wakeup.take()).unwrap_or_default();
    let handled = py.check_signals();
    let passed_on = signals.map_or(Ok(()), |signals| signals.pass_on(py, &taken));
    handled.and(passed_on)
}

fn close(py: Python<'_>, signals: Option<Signals>) -> PyResult<()> {
    signals.map_or(Ok(()), |signals| signals.close(py))
}

/// What Python writes to when a signal arrives, during one wait.
struct Signals {
    wakeup: Wakeup,
    /// What Python wrote to before, for example of an event loop of this thread.
    previous: i64,
}

impl Signals {
    /// `None` outside the main thread, where Python does not report signals, and if the process has no descriptor or port
    /// left. Then only a signal that interrupts this thread ends a wait.
    fn open(py: Python<'_>) -> Option<Signals> {
        let wakeup = Wakeup::new().ok()?;
        let previous = set_wakeup_fd(py, wakeup.number()).ok()?;
        Some(Signals { wakeup, previous })
    }

    /// Forwards what was written to the previous place. This runs Python code, and with it the handlers of signals that
    /// arrive meanwhile: an error is that of a handler.
    fn pass_on(&self, py: Python<'_>, signals: &[u8]) -> PyResult<()> {
        if signals.is_empty() || self.previous == NONE {
            return Ok(());
        }
        let arguments = (self.previous, PyBytes::new(py, signals));
        match py.import("homing._wakeup").and_then(|module| module.call_method1("pass_on", arguments)) {
            // Like Python itself, ignore a full pipe: it wakes its reader anyway.
            Err(error) if !error.is_instance_of::<PyOSError>(py) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Restores the previous place.
    fn close(self, py: Python<'_>) -> PyResult<()> {
        if let Ok(current) = set_wakeup_fd(py, self.previous)
            && current != self.wakeup.number()
        {
            // A signal handler has set another one in between.
            let _ = set_wakeup_fd(py, current);
        }
        self.pass_on(py, &self.wakeup.take())
    }
}

/// Sets the descriptor or socket that Python writes to when a signal arrives, and returns the previous one.
fn set_wakeup_fd(py: Python<'_>, number: i64) -> PyResult<i64> {
    let options = PyDict::new(py);
    options.set_item("warn_on_full_buffer", false)?;
    py.import("signal")?.call_method("set_wakeup_fd", (number,), Some(&options))?.extract()
}
