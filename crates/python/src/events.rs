//! Events of a home: pages, and a watch that waits for the next one.

use std::sync::{Mutex, PoisonError};

use homing::{Error, EventOptions, EventPage, OwnedWaitSource};
use pyo3::prelude::*;
use pythonize::pythonize;

use crate::errors::Result;
use crate::interruption::until_readable;
use crate::waiter::Source;

/// The events as documents, where to continue, whether events before them are missing, and whether the limit left out
/// events.
pub(crate) type Page<'py> = (Bound<'py, PyAny>, String, bool, bool);

pub(crate) fn page<'py>(py: Python<'py>, page: &EventPage) -> Result<Page<'py>> {
    let events = pythonize(py, &page.events).map_err(PyErr::from)?;
    Ok((events, page.next.to_string(), page.truncated, page.has_more))
}

/// The options of a request. A malformed cursor is an error, a cursor that is too old is not.
pub(crate) fn options(
    since: Option<&str>,
    session: Option<&str>,
    limit: Option<u32>,
) -> Result<EventOptions> {
    Ok(EventOptions {
        since: since.map(str::parse).transpose()?,
        session: session.map(str::parse).transpose()?,
        limit,
    })
}

/// The events of a home from a place on.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct EventWatch {
    state: Mutex<State>,
    /// A copy, so that a caller can wait for it without locking the state.
    readable: Option<OwnedWaitSource>,
}

struct State {
    watch: homing::EventWatch,
    /// The first page is returned even if it is empty.
    is_first: bool,
}

impl EventWatch {
    pub(crate) fn new(watch: homing::EventWatch) -> EventWatch {
        let readable = watch.readable().try_clone_to_owned().ok();
        EventWatch { state: Mutex::new(State { watch, is_first: true }), readable }
    }

    /// The next page, if it has something to report.
    fn take<'py>(&self, py: Python<'py>) -> Result<Option<Page<'py>>> {
        let (found, is_first) = py.detach(|| {
            let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let found = state.watch.next_page()?;
            Ok::<_, Error>((found, std::mem::take(&mut state.is_first)))
        })?;
        let is_empty = found.events.is_empty() && !found.truncated && !found.has_more;
        if is_empty && !is_first { Ok(None) } else { page(py, &found).map(Some) }
    }
}

#[pymethods]
impl EventWatch {
    /// Readable when there may be events; `None` if event loops of this system cannot wait for it.
    fn fileno(&self) -> Option<i32> {
        self.readable.as_ref().and_then(|readable| readable.source().descriptor())
    }

    /// For a `Waiter`, if event loops cannot wait for it; `None` if the kernel has no watch left.
    fn source(&self) -> Result<Option<Source>> {
        self.readable.as_ref().map(|readable| Source::of(readable.source())).transpose()
    }

    /// The next page. The first one comes at once, even if it is empty. Waits without the interpreter lock. A signal
    /// handler that raises ends the wait.
    fn next<'py>(&self, py: Python<'py>) -> Result<Page<'py>> {
        loop {
            match self.take(py)? {
                Some(page) => return Ok(page),
                None => until_readable(py, self.readable.as_ref().map(OwnedWaitSource::source))?,
            }
        }
    }

    /// The next page; `None` if there is nothing to report yet.
    fn next_now<'py>(&self, py: Python<'py>) -> Result<Option<Page<'py>>> {
        self.take(py)
    }
}
