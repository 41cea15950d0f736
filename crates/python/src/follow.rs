//! Follows the output of a job.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use homing::core::text::TextStream;
use homing::{Error, Followed, OutputChunk, OutputFollower, OwnedWaitSource};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::Result;
use crate::interruption::until_readable;
use crate::waiter::Source;

/// An offset, the bytes from there on, and the text of the lines that they complete.
type Piece<'py> = (u64, Bound<'py, PyBytes>, String);

/// The output of a job as it is written.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Follower {
    state: Mutex<State>,
    /// A copy, so that a caller can wait for it without locking the state.
    readable: Option<OwnedWaitSource>,
}

struct State {
    follower: OutputFollower,
    text: TextStream,
}

impl Follower {
    pub(crate) fn new(follower: OutputFollower, start: u64) -> Follower {
        let readable = follower.readable().and_then(|readable| readable.try_clone_to_owned().ok());
        let state = State { follower, text: TextStream::starting_at(start) };
        Follower { state: Mutex::new(state), readable }
    }

    /// The output so far, and whether more may follow.
    fn take<'py>(&self, py: Python<'py>) -> Result<(Option<Piece<'py>>, bool)> {
        let (chunk, text, goes_on) = py.detach(|| {
            let State { follower, text } = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
            Ok::<_, Error>(match follower.next_within(Some(Duration::ZERO))? {
                Followed::Output(chunk) => {
                    let text = text.push(chunk.offset, &chunk.bytes);
                    (chunk, text, true)
                }
                Followed::NothingYet => (OutputChunk::default(), String::new(), true),
                // The rest of the text is returned once; later calls return nothing.
                Followed::Finished => {
                    (OutputChunk { offset: text.next(), bytes: Vec::new() }, text.finish(), false)
                }
            })
        })?;
        let is_empty = chunk.bytes.is_empty() && text.is_empty();
        let piece = (!is_empty).then(|| (chunk.offset, PyBytes::new(py, &chunk.bytes), text));
        Ok((piece, goes_on))
    }
}

#[pymethods]
impl Follower {
    /// Readable when there may be more output; `None` if the kernel has no watch left, or event loops of this system cannot
    /// wait for it.
    fn fileno(&self) -> Option<i32> {
        self.readable.as_ref().and_then(|readable| readable.source().descriptor())
    }

    /// For a `Waiter`, if event loops cannot wait for it; `None` if the kernel has no watch left.
    fn source(&self) -> Result<Option<Source>> {
        self.readable.as_ref().map(|readable| Source::of(readable.source())).transpose()
    }

    /// The next piece; `None` when the job has finished and all output was returned. Waits without the interpreter
    /// lock. A signal handler that raises ends the wait.
    fn next<'py>(&self, py: Python<'py>) -> Result<Option<Piece<'py>>> {
        loop {
            match self.take(py)? {
                (None, true) => until_readable(py, self.readable.as_ref().map(OwnedWaitSource::source))?,
                (piece, _) => return Ok(piece),
            }
        }
    }

    /// The output so far, and whether more may follow.
    fn next_now<'py>(&self, py: Python<'py>) -> Result<(Option<Piece<'py>>, bool)> {
        self.take(py)
    }
}
