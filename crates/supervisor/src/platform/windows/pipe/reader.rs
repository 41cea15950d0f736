//! The end of a pipe that is read.
//!
//! Windows does not tell when a pipe can be read. So while somebody waits, an overlapped read of no bytes is pending: it
//! ends when bytes arrive, and takes none of them. The bytes stay in the pipe until they are read, also when this end is
//! passed to another program. The event of that read is what is waited for.
#![allow(unsafe_code, reason = "overlapped reads into buffers that outlive them")]

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::event::{Event, LazyEvent};
use super::super::named_pipe::{self, Mode};
use super::super::operation::Operation;
use super::super::wait::{AsWaitSource, WaitSource, wait};
use super::{PipeContent, is_closed};

/// Size of the buffer for [`PipeReader::move_to_file`], in bytes.
const PIECE: usize = 64 << 10;

/// The end of a pipe that is read.
#[derive(Debug)]
pub struct PipeReader {
    // Dropped before the end that its operations use.
    state: Mutex<State>,
    /// Set while bytes can be read, and when the pipe has ended; exact after each read that emptied the pipe.
    arrived: LazyEvent,
    mode: Mode,
    does_not_wait: AtomicBool,
    end: OwnedHandle,
}

#[derive(Debug, Default)]
struct State {
    /// The read of no bytes.
    arrival: Option<Operation>,
    /// The read of bytes that have arrived.
    transfer: Option<Operation>,
    /// Bytes that were read and could not be written to a file. They still count as in the pipe.
    kept: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl PipeReader {
    pub(super) fn new(end: OwnedHandle, mode: Mode) -> PipeReader {
        PipeReader {
            state: Mutex::default(),
            arrived: LazyEvent::default(),
            mode,
            does_not_wait: AtomicBool::new(false),
            end,
        }
    }

    /// Makes reads fail with [`io::ErrorKind::WouldBlock`] instead of waiting.
    ///
    /// # Errors
    /// None on Windows.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        self.does_not_wait.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Reads the available bytes, as many as fit; 0 if all writers are closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is empty and its reads do not wait.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.read_now(&mut self.state(), buffer);
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.does_not_wait.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                    wait(&[self.as_wait_source()], None)?;
                }
                read => return read,
            }
        }
    }

    /// Fills `buffer`. Returns whether it is full: it is not if all writers are closed before.
    ///
    /// # Errors
    /// As [`PipeReader::read`].
    pub fn fill(&self, buffer: &mut [u8]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Ok(false),
                count => filled += count,
            }
        }
        Ok(true)
    }

    /// Returns whether a read would find bytes, without reading.
    pub fn content(&self) -> PipeContent {
        if !self.state().kept.is_empty() {
            return PipeContent::Bytes;
        }
        match named_pipe::available(self.end.as_handle()) {
            Ok(0) => PipeContent::Nothing,
            Ok(_) => PipeContent::Bytes,
            Err(error) if is_closed(&error) => PipeContent::Ended,
            Err(_) => PipeContent::Nothing,
        }
    }

    /// Moves at most `limit` bytes to `position` in a file, without waiting. Returns the number of bytes; 0 if all
    /// writers are closed. If the file cannot be written, the bytes count as still in the pipe.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is empty. Any other error of the file, such as a full disk.
    pub fn move_to_file(&self, file: &File, position: u64, limit: usize) -> io::Result<usize> {
        let state = &mut *self.state();
        self.keep_some(state, limit)?;
        let kept = &mut state.kept;
        let mut moved = 0;
        while moved < limit && !kept.is_empty() {
            let last = kept.end.min(kept.start.saturating_add(limit - moved));
            match file.seek_write(&kept.buffer[kept.start..last], position + moved as u64) {
                Ok(0) if moved == 0 => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if moved == 0 => return Err(error),
                // The next call reports the error.
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    kept.start += count;
                    moved += count;
                }
            }
        }
        Ok(moved)
    }

    /// Reads at most `limit` bytes and discards them, without waiting. `null` is not used on Windows. Returns the number
    /// of bytes; 0 if all writers are closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the pipe is empty.
    pub fn discard(&self, _null: &File, limit: usize) -> io::Result<usize> {
        let state = &mut *self.state();
        self.keep_some(state, limit)?;
        let discarded = limit.min(state.kept.len());
        state.kept.start += discarded;
        Ok(discarded)
    }

    /// Does nothing: a pipe keeps the capacity that it was created with.
    ///
    /// # Errors
    /// None on Windows.
    pub fn set_capacity(&self, _bytes: usize) -> io::Result<()> {
        Ok(())
    }

    /// Returns 0. Windows does not tell which processes have a pipe open
    /// ([`ProcessIdentity::holds_pipe`](crate::platform::ProcessIdentity::holds_pipe)).
    ///
    /// # Errors
    /// None on Windows.
    pub fn id(&self) -> io::Result<u64> {
        Ok(0)
    }

    /// Reads at most `limit` bytes from the pipe, if none are kept.
    fn keep_some(&self, state: &mut State, limit: usize) -> io::Result<()> {
        if !state.kept.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut state.kept.buffer);
        buffer.resize(PIECE, 0);
        let read = self.read_now(state, &mut buffer[..limit.min(PIECE)]);
        let end = *read.as_ref().unwrap_or(&0);
        state.kept = Kept { buffer, start: 0, end };
        read.map(drop)
    }

    /// Reads without waiting.
    fn read_now(&self, state: &mut State, buffer: &mut [u8]) -> io::Result<usize> {
        if !state.kept.is_empty() {
            return Ok(state.kept.read(buffer));
        }
        let end = self.end.as_handle();
        let available = match named_pipe::available(end) {
            Ok(available) => available,
            Err(error) if is_closed(&error) => {
                self.announce_arrival(state);
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        if available == 0 {
            self.announce_arrival(state);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let wanted = buffer.len().min(available);
        let count = match self.mode {
            Mode::Overlapped => self.transfer(state, &mut buffer[..wanted])?,
            Mode::Synchronous => named_pipe::read(end, &mut buffer[..wanted])?,
        };
        if count >= available {
            self.announce_arrival(state);
        }
        Ok(count)
    }

    fn transfer(&self, state: &mut State, buffer: &mut [u8]) -> io::Result<usize> {
        let transfer = match &mut state.transfer {
            Some(transfer) => transfer,
            none => none.insert(Operation::new(&Arc::new(new_set_event()?))),
        };
        // SAFETY: `state` is dropped before the end; the read has ended before the buffer's borrow does, because
        // `finish` waits. It cannot wait long: only this function takes bytes, and it has the lock.
        unsafe { transfer.read(self.end.as_handle(), buffer)? };
        transfer.finish()
    }

    /// If somebody has waited for this pipe, makes the event be set as soon as bytes arrive, and not before.
    fn announce_arrival(&self, state: &mut State) {
        let Some(event) = self.arrived.get() else { return };
        let arrival = state.arrival.get_or_insert_with(|| Operation::new(event));
        if !arrival.is_pending() {
            // SAFETY: the operation is dropped before the end, and the read has no buffer. An error means that the pipe
            // has ended; then the event is set.
            let _ = unsafe { arrival.read(self.end.as_handle(), &mut []) };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_set_event() -> io::Result<Event> {
    let event = Event::new()?;
    event.set();
    Ok(event)
}

impl Kept {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.len());
        buffer[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
        self.start += count;
        count
    }
}

impl AsWaitSource for PipeReader {
    fn as_wait_source(&self) -> WaitSource<'_> {
        if self.mode == Mode::Synchronous {
            return WaitSource::of_end(self.end.as_handle(), None);
        }
        // Without memory for an event, waits ask the pipe again and again.
        let Ok(event) = self.arrived.get_or_create() else {
            return WaitSource::of_end(self.end.as_handle(), None);
        };
        let state = &mut *self.state();
        if state.kept.is_empty() {
            self.announce_arrival(state);
        }
        WaitSource::of_end(self.end.as_handle(), Some(event.as_handle()))
    }
}

/// For ends that this process inherited or that another library made.
impl From<OwnedHandle> for PipeReader {
    fn from(end: OwnedHandle) -> PipeReader {
        let mode = named_pipe::mode_of(end.as_handle());
        PipeReader::new(end, mode)
    }
}

impl From<std::process::ChildStdout> for PipeReader {
    fn from(output: std::process::ChildStdout) -> PipeReader {
        OwnedHandle::from(output).into()
    }
}

impl From<std::process::ChildStderr> for PipeReader {
    fn from(output: std::process::ChildStderr) -> PipeReader {
        OwnedHandle::from(output).into()
    }
}

/// Passes the end on, with the bytes in the pipe.
impl From<PipeReader> for OwnedHandle {
    fn from(reader: PipeReader) -> OwnedHandle {
        // Its operations are cancelled while the end is still open.
        drop(reader.state);
        reader.end
    }
}

impl From<PipeReader> for Stdio {
    fn from(reader: PipeReader) -> Stdio {
        OwnedHandle::from(reader).into()
    }
}

impl AsHandle for PipeReader {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.end.as_handle()
    }
}
