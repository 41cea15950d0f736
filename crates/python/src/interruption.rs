//! Lets a Python signal handler end a wait without polling. Python writes to a pipe when a signal arrives
//! (`signal.set_wakeup_fd`), in whichever thread. Handlers run in the main thread only, so waits in other threads are
//! not interrupted, as in the rest of Python. On Windows, Python cannot write to such a pipe, so a wait checks for signals
//! from time to time.

use std::time::Duration;

use homing::{Interruption, WaitSource};
use homing_supervisor::platform::clock::uptime;
use homing_supervisor::platform::notifier::Timer;
use homing_supervisor::platform::pipe::{PipeReader, PipeWriter, nonblocking_pipe};
use homing_supervisor::platform::wait::{AsWaitSource, wait};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::Result;

/// Polling interval if the kernel has no watch left, and for signals where Python cannot report them.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(100);

/// The value of `signal.set_wakeup_fd` for no descriptor.
const NONE: i32 = -1;

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
        let readable = signals.as_ref().map(Signals::source);
        wait(&mut Interruption { readable, came: &mut came })
    });
    close(py, signals);
    match raised {
        Some(raised) => Err(raised.into()),
        None => Ok(waited?),
    }
}

/// Waits until the source is readable; without one, for a short time. A signal handler that raises ends the wait.
pub(crate) fn until_readable(py: Python<'_>, source: Option<WaitSource<'_>>) -> Result<()> {
    let signals = Signals::open(py);
    // Signals that arrived before the pipe existed.
    let mut handled = py.check_signals();
    if handled.is_ok() {
        py.detach(|| {
            let signals = signals.as_ref().map(Signals::source);
            let sources: Vec<WaitSource<'_>> = source.into_iter().chain(signals).collect();
            // Fails only without memory; then the caller checks earlier.
            let _ = wait(&sources, source.is_none().then_some(FALLBACK_INTERVAL));
        });
        handled = run_handlers(py, signals.as_ref());
    }
    close(py, signals);
    Ok(handled?)
}

/// Runs the handlers of pending signals.
fn run_handlers(py: Python<'_>, signals: Option<&Signals>) -> PyResult<()> {
    if let Some(signals) = signals {
        signals.pass_on(py);
    }
    py.check_signals()
}

fn close(py: Python<'_>, signals: Option<Signals>) {
    if let Some(signals) = signals {
        signals.close(py);
    }
}

/// How a wait learns of signals.
enum Signals {
    /// Python reports each signal.
    Pipe(SignalPipe),
    /// The wait checks when the timer is ready.
    Timer(Timer),
}

impl Signals {
    /// `None` outside the main thread, where Python does not report signals, and if the process has no descriptor left.
    /// Then only a signal that interrupts this thread ends a wait.
    fn open(py: Python<'_>) -> Option<Signals> {
        let (reader, writer) = nonblocking_pipe().ok()?;
        let Some(descriptor) = writer.descriptor() else {
            let signals = Signals::Timer(Timer::new().ok()?);
            signals.pass_on(py);
            return Some(signals);
        };
        let previous = set_wakeup_fd(py, descriptor).ok()?;
        Some(Signals::Pipe(SignalPipe { reader, _writer: writer, descriptor, previous }))
    }

    fn source(&self) -> WaitSource<'_> {
        match self {
            Signals::Pipe(pipe) => pipe.reader.as_wait_source(),
            Signals::Timer(timer) => timer.as_wait_source(),
        }
    }

    fn pass_on(&self, py: Python<'_>) {
        match self {
            Signals::Pipe(pipe) => pipe.pass_on(py),
            Signals::Timer(timer) => timer.set(Some(uptime() + FALLBACK_INTERVAL)),
        }
    }

    fn close(self, py: Python<'_>) {
        match self {
            Signals::Pipe(pipe) => pipe.close(py),
            Signals::Timer(_) => {}
        }
    }
}

/// The pipe that Python writes to when a signal arrives, during one wait.
struct SignalPipe {
    reader: PipeReader,
    _writer: PipeWriter,
    /// The descriptor of the writing end.
    descriptor: i32,
    /// The previous descriptor, for example of an event loop of this thread.
    previous: i32,
}

impl SignalPipe {
    /// Empties the pipe and forwards its content to the previous descriptor.
    fn pass_on(&self, py: Python<'_>) {
        let mut signals = [0; 64];
        while let Ok(count @ 1..) = self.reader.read(&mut signals) {
            if self.previous != NONE {
                let write = || {
                    py.import("os")?
                        .call_method1("write", (self.previous, PyBytes::new(py, &signals[..count])))
                };
                // Like Python itself, ignore a full pipe: it wakes its reader anyway.
                let _ = write();
            }
        }
    }

    /// Restores the previous descriptor.
    fn close(self, py: Python<'_>) {
        if let Ok(current) = set_wakeup_fd(py, self.previous)
            && current != self.descriptor
        {
            // A signal handler has set another descriptor in between.
            let _ = set_wakeup_fd(py, current);
        }
        self.pass_on(py);
    }
}

/// Sets the descriptor that Python writes to when a signal arrives, and returns the previous one.
fn set_wakeup_fd(py: Python<'_>, descriptor: i32) -> PyResult<i32> {
    let options = PyDict::new(py);
    options.set_item("warn_on_full_buffer", false)?;
    py.import("signal")?.call_method("set_wakeup_fd", (descriptor,), Some(&options))?.extract()
}
