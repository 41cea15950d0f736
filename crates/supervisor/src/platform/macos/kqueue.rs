//! kqueue(2): one descriptor that is ready when a process ends, a file changes, a timer expires or a signal arrives.
//! poll(2) and another kqueue accept the descriptor.
#![allow(
    unsafe_code,
    reason = "kqueue(2) and kevent(2) in a form that takes every filter have no safe wrapper"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// The most events that one call returns.
const EVENTS_AT_ONCE: usize = 32;

/// A queue of events. A forked child does not inherit it (kqueue(2)).
#[derive(Debug)]
pub(super) struct Kqueue {
    fd: OwnedFd,
}

/// What to wait for: the number and the kind of a source, such as a descriptor and `EVFILT_VNODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// A descriptor, a pid, or a signal number.
    pub(super) ident: usize,
    /// `EVFILT_*`.
    pub(super) filter: i16,
    /// `NOTE_*`.
    pub(super) notes: u32,
    /// An argument of the filter, such as the time of a timer.
    pub(super) data: isize,
    /// Comes back with each event.
    pub(super) tag: usize,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// As in [`Filter`].
    pub(super) ident: usize,
    /// As in [`Filter`].
    pub(super) filter: i16,
    /// The `NOTE_*` that happened.
    pub(super) notes: u32,
    /// The other end is closed.
    pub(super) is_end: bool,
    /// As in [`Filter`].
    pub(super) tag: usize,
}

impl Filter {
    /// Waits until the process has ended.
    pub(super) fn process_end(pid: u32, tag: usize) -> Filter {
        Filter { ident: pid as usize, filter: libc::EVFILT_PROC, notes: libc::NOTE_EXIT, data: 0, tag }
    }

    /// Waits until a descriptor can be read.
    pub(super) fn readable(descriptor: BorrowedFd<'_>, tag: usize) -> Filter {
        Filter { ident: ident(descriptor), filter: libc::EVFILT_READ, notes: 0, data: 0, tag }
    }

    /// Waits for changes of an open file or directory.
    pub(super) fn changes(descriptor: BorrowedFd<'_>, notes: u32, tag: usize) -> Filter {
        Filter { ident: ident(descriptor), filter: libc::EVFILT_VNODE, notes, data: 0, tag }
    }

    /// Waits for a signal, which is reported even if it is blocked or ignored.
    pub(super) fn signal(signal: i32) -> Filter {
        Filter {
            ident: signal.unsigned_abs() as usize,
            filter: libc::EVFILT_SIGNAL,
            notes: 0,
            data: 0,
            tag: 0,
        }
    }

    fn to_kevent(self, flags: u16) -> libc::kevent {
        libc::kevent {
            ident: self.ident,
            filter: self.filter,
            flags,
            fflags: self.notes,
            data: self.data,
            udata: ptr::without_provenance_mut(self.tag),
        }
    }
}

fn ident(descriptor: BorrowedFd<'_>) -> usize {
    descriptor.as_raw_fd().unsigned_abs() as usize
}

impl Kqueue {
    /// Creates an empty queue.
    ///
    /// # Errors
    /// If this process or the system has no descriptor left.
    pub(super) fn new() -> io::Result<Kqueue> {
        // SAFETY: the call takes no argument and returns a new descriptor without another owner.
        let fd = unsafe { libc::kqueue() };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just created.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // A started program does not inherit it either, but its number would be taken.
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
        Ok(Kqueue { fd })
    }

    /// Makes a second handle of the same queue.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub(super) fn try_clone(&self) -> io::Result<Kqueue> {
        Ok(Kqueue { fd: self.fd.try_clone()? })
    }

    /// Adds a filter whose events stay until [`Kqueue::next_events`] returns them.
    ///
    /// # Errors
    /// ESRCH if a process has ended; EINVAL if the file does not support it; ENOMEM.
    pub(super) fn add(&self, filter: Filter) -> io::Result<()> {
        self.change(filter.to_kevent(libc::EV_ADD | libc::EV_CLEAR))
    }

    /// Adds a filter that reports the state instead of changes: its event stays until the state has gone.
    ///
    /// # Errors
    /// As [`Kqueue::add`].
    pub(super) fn add_level(&self, filter: Filter) -> io::Result<()> {
        self.change(filter.to_kevent(libc::EV_ADD))
    }

    /// Removes a filter and its pending event. Does nothing without one.
    pub(super) fn remove(&self, filter: Filter) {
        // Fails only if it is not there: a timer that has expired, a file that is closed.
        let _ = self.change(filter.to_kevent(libc::EV_DELETE));
    }

    /// Makes the queue ready until [`Kqueue::next_events`] is called: for what has happened already.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub(super) fn make_ready(&self, tag: usize) -> io::Result<()> {
        let user = Filter { ident: tag, filter: libc::EVFILT_USER, notes: 0, data: 0, tag };
        self.add(user)?;
        self.change(Filter { notes: libc::NOTE_TRIGGER, ..user }.to_kevent(0))
    }

    /// Returns the pending events, at most [`EVENTS_AT_ONCE`]; none if there are none. Does not wait.
    pub(super) fn next_events(&self) -> Vec<Event> {
        let empty = Filter { ident: 0, filter: 0, notes: 0, data: 0, tag: 0 }.to_kevent(0);
        let mut events = [empty; EVENTS_AT_ONCE];
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the buffer has room for the given number of events, and both it and the time are live locals.
        let count = unsafe {
            libc::kevent(
                self.fd.as_raw_fd(),
                ptr::null(),
                0,
                events.as_mut_ptr(),
                EVENTS_AT_ONCE as libc::c_int,
                &now,
            )
        };
        // With these arguments, it fails only if a signal arrives; the events stay then.
        let count = usize::try_from(count).unwrap_or(0);
        // Copies of the fields: the structure is packed.
        let event = |event: &libc::kevent| Event {
            ident: { event.ident },
            filter: { event.filter },
            notes: { event.fflags },
            is_end: { event.flags } & libc::EV_EOF != 0,
            tag: { event.udata }.addr(),
        };
        events[..count].iter().map(event).collect()
    }

    fn change(&self, change: libc::kevent) -> io::Result<()> {
        loop {
            // SAFETY: the change is a live local, and no event is asked for.
            let result =
                unsafe { libc::kevent(self.fd.as_raw_fd(), &change, 1, ptr::null_mut(), 0, ptr::null()) };
            if result >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
