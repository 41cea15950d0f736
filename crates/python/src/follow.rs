//! Following the output of a job.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing::core::text::TextStream;
use homing::{Followed, Homing, OutputFollower};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::Result;

/// How often a signal is looked for that may have come to another thread.
const INTERRUPTION_PAUSE: Duration = Duration::from_millis(500);

/// An offset, the bytes from there on, and the text of the lines that are complete with them.
type Piece<'py> = (u64, Bound<'py, PyBytes>, String);

/// The output of a job as it is written.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Follower {
    state: Mutex<State>,
    descriptor: Option<i32>,
}

struct State {
    follower: OutputFollower<Arc<Homing>>,
    text: TextStream,
    is_over: bool,
}

impl Follower {
    pub(crate) fn new(follower: OutputFollower<Arc<Homing>>, start: u64) -> Follower {
        let descriptor = follower.readable().map(|readable| readable.as_raw_fd());
        let state = State { follower, text: TextStream::starting_at(start), is_over: false };
        Follower { state: Mutex::new(state), descriptor }
    }

    fn take(&self, timeout: Duration) -> homing::Result<Option<(u64, Vec<u8>, String)>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            return Ok(None);
        }
        match state.follower.next(Some(timeout))? {
            Followed::Output(chunk) => {
                let text = state.text.push(chunk.offset, &chunk.bytes);
                Ok(Some((chunk.offset, chunk.bytes, text)))
            }
            Followed::NothingYet => Ok(None),
            Followed::Over => {
                state.is_over = true;
                let (end, rest) = (state.text.next(), state.text.finish());
                Ok((!rest.is_empty()).then_some((end, Vec::new(), rest)))
            }
        }
    }

    fn is_over(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over
    }
}

#[pymethods]
impl Follower {
    /// Readable when there may be more; `None` where the kernel has no watch left.
    fn fileno(&self) -> Option<i32> {
        self.descriptor
    }

    /// The next piece; `None` when the job is over and all of it was returned. Waits without the interpreter's lock; a
    /// signal handler that raises ends the wait.
    fn next<'py>(&self, py: Python<'py>) -> Result<Option<Piece<'py>>> {
        loop {
            if let Some((offset, bytes, text)) = py.detach(|| self.take(INTERRUPTION_PAUSE))? {
                return Ok(Some((offset, PyBytes::new(py, &bytes), text)));
            }
            if self.is_over() {
                return Ok(None);
            }
            py.check_signals()?;
        }
    }

    /// What is there by now, and whether more may come.
    fn next_now<'py>(&self, py: Python<'py>) -> Result<(Option<Piece<'py>>, bool)> {
        let piece = py.detach(|| self.take(Duration::ZERO))?;
        let piece = piece.map(|(offset, bytes, text)| (offset, PyBytes::new(py, &bytes), text));
        Ok((piece, !self.is_over()))
    }
}
