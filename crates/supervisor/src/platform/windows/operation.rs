//! One overlapped operation of a pipe: it starts, is pending while its event is not signaled, and has a result.
#![allow(unsafe_code, reason = "the system writes into OVERLAPPED structures until an operation has ended")]

use std::cell::UnsafeCell;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::sync::Arc;

use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, HANDLE, STATUS_PENDING};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};

use super::event::Event;

/// An operation that can be started again after it has ended. Dropping it cancels it.
#[derive(Debug)]
pub(super) struct Operation {
    /// Where the system writes the result. On the heap, because its address is known to the system.
    state: Box<UnsafeCell<OVERLAPPED>>,
    event: Arc<Event>,
    /// The pipe of the last start; open as long as this exists (see [`Operation::read`]).
    pipe: HANDLE,
}

// SAFETY: the handle and the structure belong to no thread; the functions that write them take `&mut self`, and the
// others read what the system writes with one volatile read.
unsafe impl Send for Operation {}
// SAFETY: as above.
unsafe impl Sync for Operation {}

impl Operation {
    /// Creates an operation that was not started. The event, which must be set, is signaled while it is not pending.
    pub(super) fn new(event: &Arc<Event>) -> Operation {
        let state = Box::new(UnsafeCell::new(OVERLAPPED::default()));
        Operation { state, event: Arc::clone(event), pipe: std::ptr::null_mut() }
    }

    /// The event that is signaled while the operation is not pending.
    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    /// Copies the handle of its pipe, so that the pipe stays open for an operation that is pending.
    ///
    /// # Errors
    /// If this process has no handle left.
    pub(super) fn copy_pipe(&self) -> io::Result<OwnedHandle> {
        // SAFETY: the pipe is open as long as this exists, or its operation has ended; it was started, so the handle is
        // one of a pipe.
        unsafe { BorrowedHandle::borrow_raw(self.pipe) }.try_clone_to_owned()
    }

    /// Whether it was started and has not ended.
    pub(super) fn is_pending(&self) -> bool {
        // SAFETY: the structure lives as long as this. The system may write the word at the same time, so it is read as
        // a whole (HasOverlappedCompleted reads it in the same way).
        let status = unsafe { (&raw const (*self.state.get()).Internal).read_volatile() };
        status == STATUS_PENDING as usize
    }

    /// Starts to read.
    ///
    /// # Errors
    /// That of the pipe, if the operation has ended with it at once.
    ///
    /// # Safety
    /// The pipe is open for overlapped operations until this is dropped, and the buffer lives until the operation has
    /// ended. The operation is not pending.
    pub(super) unsafe fn read(&mut self, pipe: BorrowedHandle<'_>, buffer: *mut [u8]) -> io::Result<()> {
        let state = self.prepare(pipe);
        // SAFETY: the caller guarantees it.
        let result =
            unsafe { ReadFile(self.pipe, buffer.cast(), length(buffer.len()), std::ptr::null_mut(), state) };
        self.started(result)
    }

    /// Starts to write.
    ///
    /// # Errors
    /// As [`Operation::read`].
    ///
    /// # Safety
    /// As [`Operation::read`].
    pub(super) unsafe fn write(&mut self, pipe: BorrowedHandle<'_>, bytes: *const [u8]) -> io::Result<()> {
        let state = self.prepare(pipe);
        // SAFETY: the caller guarantees it.
        let result =
            unsafe { WriteFile(self.pipe, bytes.cast(), length(bytes.len()), std::ptr::null_mut(), state) };
        self.started(result)
    }

    /// Waits until the operation has ended, and returns the number of bytes.
    ///
    /// # Errors
    /// That of the operation.
    pub(super) fn finish(&mut self) -> io::Result<usize> {
        let mut count = 0;
        // SAFETY: the pipe is open and the structure lives; the event in it is this operation's own.
        let result = unsafe { GetOverlappedResult(self.pipe, self.state.get(), &mut count, 1) };
        if result == 0 { Err(io::Error::last_os_error()) } else { Ok(count as usize) }
    }

    /// Cancels the operation if it is pending, and waits until it has ended.
    pub(super) fn cancel(&mut self) {
        if self.is_pending() {
            // SAFETY: the pipe is open and the structure lives. The call fails only if the operation has ended.
            unsafe { CancelIoEx(self.pipe, self.state.get()) };
            let _ = self.finish();
        }
    }

    fn prepare(&mut self, pipe: BorrowedHandle<'_>) -> *mut OVERLAPPED {
        self.pipe = pipe.as_raw_handle();
        let event = self.event.as_handle().as_raw_handle();
        *self.state.get_mut() = OVERLAPPED { hEvent: event, ..OVERLAPPED::default() };
        self.state.get()
    }

    fn started(&self, result: i32) -> io::Result<()> {
        if result != 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() == Some(ERROR_IO_PENDING.cast_signed()) {
            return Ok(());
        }
        // The start has reset the event, and an operation that was refused does not set it.
        self.event.set();
        Err(error)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.cancel();
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
