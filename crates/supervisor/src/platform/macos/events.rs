//! What a supervisor waits for besides output: ended processes, requests to end its job, and the removal of its directory.
//! All are events of one kqueue(2).
//!
//! A signal has no value on macOS, so a request to end the job is one of three signals: SIGUSR1 from its session, SIGUSR2
//! from an operator, SIGTERM from anything else.
#![allow(unsafe_code, reason = "sigaction(2), sigprocmask(2) and sigpending(2) have no safe wrapper")]

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use homing_core::KilledBy;
use rustix::process::Signal;

use super::ProcessIdentity;
use super::dir::Directory;
use super::kqueue::{Event, Filter, Kqueue};

/// What a supervisor is notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A process of the job ended.
    ChildEnded,
    /// A request to end the job.
    KillRequested(KilledBy),
    /// A file was removed or renamed in the watched directory.
    DirectoryChanged,
}

/// The signals that are received, and their meaning.
const SIGNALS: [(i32, Received); 4] = [
    (libc::SIGCHLD, Received::ChildEnded),
    (libc::SIGTERM, Received::KillRequested(KilledBy::Outside)),
    (libc::SIGUSR1, Received::KillRequested(KilledBy::Session)),
    (libc::SIGUSR2, Received::KillRequested(KilledBy::Operator)),
];

/// The highest number of a signal (`NSIG` of `sys/signal.h`, less one).
const LAST_SIGNAL: i32 = 31;

/// The events of this process, readable from a descriptor.
#[derive(Debug)]
pub struct SupervisorEvents {
    kqueue: Kqueue,
    /// Read from the kqueue, but not returned yet.
    read: Mutex<VecDeque<Received>>,
}

impl SupervisorEvents {
    /// Blocks every signal of the calling thread and opens the queue. Signals that it does not return, such as
    /// SIGHUP, SIGINT, SIGPIPE and SIGXFSZ, have no effect any more. No signal is ignored any more, so programs that this
    /// process executes begin with the default handlers.
    ///
    /// # Errors
    /// If the limit of descriptors is reached.
    pub fn open() -> io::Result<SupervisorEvents> {
        block_signals();
        // Ignored signals are inherited. If SIGCHLD is ignored, the kernel reaps the children and discards their status
        // (sigaction(2)).
        stop_ignoring_signals();
        let kqueue = Kqueue::new()?;
        for (signal, _) in SIGNALS {
            // Blocked signals are reported too (psignal_internal in the kernel's `kern_sig.c`).
            kqueue.add(Filter::signal(signal))?;
        }
        // Those that arrived before are not reported, but pending, because they are blocked.
        let read =
            SIGNALS.into_iter().filter(|(signal, _)| is_pending(*signal)).map(|(_, received)| received);
        let events = SupervisorEvents { kqueue, read: Mutex::new(read.collect()) };
        if !events.is_drained() {
            events.kqueue.make_ready(0)?;
        }
        Ok(events)
    }

    /// Reports [`Received::DirectoryChanged`] when a name in `directory` is created, removed or renamed, or the directory
    /// itself is removed or renamed, as long as this handle is open.
    ///
    /// # Errors
    /// If the file system does not report changes.
    pub fn watch_removals(&self, directory: &Directory) -> io::Result<()> {
        let notes = libc::NOTE_WRITE | libc::NOTE_DELETE | libc::NOTE_RENAME;
        self.kqueue.add(Filter::changes(directory.as_fd(), notes, 0))
    }

    /// Returns the next event; `None` if none is pending.
    pub fn next(&self) -> Option<Received> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.is_empty() {
            for received in self.kqueue.next_events().into_iter().filter_map(received) {
                if !read.contains(&received) {
                    read.push_back(received);
                }
            }
        }
        read.pop_front()
    }

    fn is_drained(&self) -> bool {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// A second handle of the queue, for further events.
    ///
    /// # Errors
    /// If the limit of descriptors is reached.
    pub(super) fn queue(&self) -> io::Result<Kqueue> {
        self.kqueue.try_clone()
    }
}

fn received(event: Event) -> Option<Received> {
    match event.filter {
        libc::EVFILT_PROC => Some(Received::ChildEnded),
        libc::EVFILT_VNODE => Some(Received::DirectoryChanged),
        libc::EVFILT_SIGNAL => {
            let is_it = |signal: i32| usize::try_from(signal).is_ok_and(|signal| signal == event.ident);
            SIGNALS.into_iter().find(|(signal, _)| is_it(*signal)).map(|(_, received)| received)
        }
        _ => None,
    }
}

fn block_signals() {
    // SAFETY: the set is a live local, which sigfillset initialises before any other use.
    unsafe {
        let mut all: libc::sigset_t = mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
    }
}

/// Sets each ignored signal to its default.
fn stop_ignoring_signals() {
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: both actions are live locals; all zeros mean SIG_DFL, no flags and no mask. The calls only read the
        // current action, and replace one that runs no code.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            let is_read = libc::sigaction(signal, std::ptr::null(), &mut action) == 0;
            if is_read && action.sa_sigaction == libc::SIG_IGN {
                let default: libc::sigaction = mem::zeroed();
                libc::sigaction(signal, &default, std::ptr::null_mut());
            }
        }
    }
}

fn is_pending(signal: i32) -> bool {
    // SAFETY: the set is a live local, which sigpending initialises.
    unsafe {
        let mut pending: libc::sigset_t = mem::zeroed();
        libc::sigpending(&mut pending) == 0 && libc::sigismember(&pending, signal) == 1
    }
}

impl AsFd for SupervisorEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}

/// Asks a supervisor to end its job, with the origin of the request.
///
/// # Errors
/// [`is_no_such_process`](super::errors::is_no_such_process) if the supervisor has ended.
pub fn request_kill(supervisor: &ProcessIdentity, by: KilledBy) -> io::Result<()> {
    supervisor.send(match by {
        KilledBy::Session => Signal::USR1,
        KilledBy::Operator => Signal::USR2,
        KilledBy::Outside | KilledBy::ServiceManager => Signal::TERM,
    })
}
