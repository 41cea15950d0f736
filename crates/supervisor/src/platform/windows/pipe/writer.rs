//! The end of a pipe that is written.
//!
//! A write that does not wait takes a copy of the bytes and starts an overlapped write. If the pipe is full, that write
//! is pending until the reader has made room; meanwhile the pipe takes nothing more. An end that is dropped meanwhile stays
//! open in the background until the bytes are in the pipe or the reader is closed. They are lost only if this process ends
//! before, or the thread that wrote them: the system cancels the operations of a thread that ends (CancelIo).
#![allow(unsafe_code, reason = "overlapped writes from buffers that outlive them")]

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::event::LazyEvent;
use super::super::named_pipe::{self, Mode};
use super::super::operation::Operation;
use super::super::registered_wait::RegisteredWait;
use super::super::wait::{AsWaitSource, WaitSource};
use super::DEFAULT_CAPACITY;

/// The end of a pipe that is written.
#[derive(Debug)]
pub struct PipeWriter {
    // Dropped before the end that its operation uses.
    sending: Mutex<Sending>,
    /// Set while no write is pending.
    sent: LazyEvent,
    mode: Mode,
    does_not_wait: AtomicBool,
    capacity: AtomicUsize,
    end: OwnedHandle,
}

/// The last write.
#[derive(Debug, Default)]
struct Sending {
    operation: Option<Operation>,
    /// What is written, while it is pending.
    bytes: Vec<u8>,
    /// Whether its result was not asked for yet.
    is_unfinished: bool,
}

impl PipeWriter {
    pub(super) fn new(end: OwnedHandle, mode: Mode) -> PipeWriter {
        PipeWriter {
            sending: Mutex::default(),
            sent: LazyEvent::default(),
            mode,
            does_not_wait: AtomicBool::new(false),
            capacity: AtomicUsize::new(DEFAULT_CAPACITY),
            end,
        }
    }

    /// Makes writes fail with [`io::ErrorKind::WouldBlock`] instead of waiting. The reader is not changed.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if the end was made for a program that expects its writes to wait.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        if self.mode == Mode::Synchronous {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this end of the pipe is synchronous: its writes always wait",
            ));
        }
        self.does_not_wait.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes as many bytes as fit.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is full and its writes do not wait. [`io::ErrorKind::BrokenPipe`] if
    /// all readers are closed.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match self.mode {
            Mode::Synchronous => named_pipe::write(self.end.as_handle(), bytes),
            Mode::Overlapped if self.does_not_wait.load(Ordering::Relaxed) => self.write_now(bytes),
            Mode::Overlapped => self.write_waiting(bytes),
        }
    }

    /// Writes all of `bytes`, and waits while the pipe is full.
    ///
    /// # Errors
    /// As [`PipeWriter::write`].
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes)?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Makes writes that do not wait take up to `bytes` at once. The pipe itself keeps the capacity that it was created
    /// with; this process holds the rest.
    ///
    /// # Errors
    /// None on Windows.
    pub fn set_capacity(&self, bytes: usize) -> io::Result<()> {
        self.capacity.store(bytes.max(1), Ordering::Relaxed);
        Ok(())
    }

    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let sending = &mut *self.sending();
        if sending.is_unfinished {
            if sending.is_pending() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            sending.finish()?;
        }
        let count = bytes.len().min(self.capacity.load(Ordering::Relaxed));
        sending.bytes.clear();
        sending.bytes.extend_from_slice(&bytes[..count]);
        let operation = match &mut sending.operation {
            Some(operation) => operation,
            none => none.insert(Operation::new(self.sent.get_or_create()?)),
        };
        // SAFETY: `sending` is dropped before the end, and no write is pending. The buffer is not touched while one is;
        // a pending write that outlives this value takes the buffer with it (`drop`).
        unsafe { operation.write(self.end.as_handle(), &raw const *sending.bytes)? };
        sending.is_unfinished = true;
        if !sending.is_pending() {
            return sending.finish();
        }
        Ok(count)
    }

    fn write_waiting(&self, bytes: &[u8]) -> io::Result<usize> {
        let sending = &mut *self.sending();
        if sending.is_unfinished {
            sending.finish()?;
        }
        let operation = match &mut sending.operation {
            Some(operation) => operation,
            none => none.insert(Operation::new(self.sent.get_or_create()?)),
        };
        // SAFETY: `sending` is dropped before the end, and no write is pending. `finish` waits, so the write has ended
        // before the borrow of the bytes does.
        unsafe { operation.write(self.end.as_handle(), bytes)? };
        operation.finish()
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sending {
    fn is_pending(&self) -> bool {
        self.operation.as_ref().is_some_and(Operation::is_pending)
    }

    fn finish(&mut self) -> io::Result<usize> {
        self.is_unfinished = false;
        self.operation.as_mut().map_or(Ok(0), Operation::finish)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take().filter(Operation::is_pending) {
            finish_in_background(operation, std::mem::take(&mut self.bytes));
        }
    }
}

/// Keeps the end open until the write has ended. If that is impossible, the write is cancelled.
fn finish_in_background(operation: Operation, bytes: Vec<u8>) {
    let Ok(end) = operation.copy_pipe() else { return };
    let Ok(event) = operation.event().as_handle().try_clone_to_owned() else { return };
    let registration: Arc<Mutex<Option<RegisteredWait>>> = Arc::default();
    let own = Arc::clone(&registration);
    let registered = RegisteredWait::new(event.as_handle(), move || {
        drop((operation, bytes, end));
        own.lock().unwrap_or_else(PoisonError::into_inner).take();
    });
    if let Ok(wait) = registered {
        // If the function was called meanwhile, the wait is dropped here.
        *registration.lock().unwrap_or_else(PoisonError::into_inner) = Some(wait);
    }
}

impl AsWaitSource for PipeWriter {
    /// Ready when all readers are closed. [`WaitSource::writable`] waits until it can be written.
    fn as_wait_source(&self) -> WaitSource<'_> {
        let sent = match self.mode {
            Mode::Overlapped => self.sent.get_or_create().ok(),
            Mode::Synchronous => None,
        };
        WaitSource::of_write_end(self.end.as_handle(), sent.map(|event| event.as_handle()))
    }
}

/// For ends that this process inherited or that another library made.
impl From<OwnedHandle> for PipeWriter {
    fn from(end: OwnedHandle) -> PipeWriter {
        let mode = named_pipe::mode_of(end.as_handle());
        PipeWriter::new(end, mode)
    }
}

impl From<std::process::ChildStdin> for PipeWriter {
    fn from(input: std::process::ChildStdin) -> PipeWriter {
        OwnedHandle::from(input).into()
    }
}

impl From<PipeWriter> for OwnedHandle {
    fn from(writer: PipeWriter) -> OwnedHandle {
        // Needs the end, if a write is pending.
        drop(writer.sending);
        writer.end
    }
}

impl From<PipeWriter> for Stdio {
    fn from(writer: PipeWriter) -> Stdio {
        OwnedHandle::from(writer).into()
    }
}

impl AsHandle for PipeWriter {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.end.as_handle()
    }
}
