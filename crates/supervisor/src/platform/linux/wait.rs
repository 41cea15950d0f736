//! Waits for several things at once, with a timeout and without polling.
//!
//! A [`WaitSource`] stands for anything that can become ready: a pipe, a process, a change notification, a timer.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::io::Errno;

use super::clock::{self, timespec};

/// Up to this many sources, a wait does not allocate.
const SOURCES_ON_STACK: usize = 8;

/// Something that can become ready. Refers to it, as a reference does, and is as small as one.
#[derive(Clone, Copy, Debug)]
pub struct WaitSource<'a> {
    descriptor: BorrowedFd<'a>,
    interest: Interest,
}

/// What a source is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    Readable,
    Writable,
    Disconnected,
}

/// A type that can become ready. A [`WaitSource`] is one too: converted again, it waits until it can be read.
pub trait AsWaitSource {
    /// Returns a source that is ready when this can be read without waiting, and when its other end is closed.
    fn as_wait_source(&self) -> WaitSource<'_>;
}

impl<T: AsFd> AsWaitSource for T {
    fn as_wait_source(&self) -> WaitSource<'_> {
        WaitSource { descriptor: self.as_fd(), interest: Interest::Readable }
    }
}

impl<'a> WaitSource<'a> {
    /// Waits until it can be written without waiting, or its other end is closed, instead of until it can be read.
    #[must_use]
    pub fn writable(self) -> WaitSource<'a> {
        WaitSource { interest: Interest::Writable, ..self }
    }

    /// Waits until its other end is closed, instead of until it can be read. A regular file never is.
    #[must_use]
    pub fn disconnected(self) -> WaitSource<'a> {
        WaitSource { interest: Interest::Disconnected, ..self }
    }

    /// Makes a copy that does not depend on the original.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn try_clone_to_owned(self) -> io::Result<OwnedWaitSource> {
        let descriptor = self.descriptor.try_clone_to_owned()?;
        Ok(OwnedWaitSource { descriptor, interest: self.interest })
    }

    /// Returns the number of its descriptor, for event loops of other languages; `None` on systems whose event loops do not
    /// wait for descriptors.
    pub fn descriptor(self) -> Option<RawFd> {
        Some(self.descriptor.as_raw_fd())
    }

    fn to_poll(self) -> PollFd<'a> {
        PollFd::from_borrowed_fd(
            self.descriptor,
            match self.interest {
                Interest::Readable => PollFlags::IN,
                Interest::Writable => PollFlags::OUT,
                // poll(2) always reports errors and hang-ups.
                Interest::Disconnected => PollFlags::empty(),
            },
        )
    }
}

impl AsFd for WaitSource<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor
    }
}

impl<'a> From<BorrowedFd<'a>> for WaitSource<'a> {
    fn from(descriptor: BorrowedFd<'a>) -> WaitSource<'a> {
        WaitSource { descriptor, interest: Interest::Readable }
    }
}

/// A copy of a [`WaitSource`] that owns what it waits for.
#[derive(Debug)]
pub struct OwnedWaitSource {
    descriptor: OwnedFd,
    interest: Interest,
}

impl OwnedWaitSource {
    /// Returns it as a source.
    pub fn source(&self) -> WaitSource<'_> {
        WaitSource { descriptor: self.descriptor.as_fd(), interest: self.interest }
    }
}

impl AsFd for OwnedWaitSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for OwnedWaitSource {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// At least one source is ready.
    Ready,
    /// The timeout expired.
    TimedOut,
    /// This thread handled a signal.
    Interrupted,
}

/// Waits until one of the sources is ready, the timeout expires, or this thread has handled a signal. Without sources,
/// this is a sleep that a signal ends. `None` waits without a time limit; a timeout of zero does not wait.
///
/// # Errors
/// If the system has no memory left, or the number of sources exceeds the limit of descriptors.
pub fn wait(sources: &[WaitSource<'_>], timeout: Option<Duration>) -> io::Result<WaitEnd> {
    let timeout = timeout.map(timespec);
    let ended = match sources {
        [] => poll(&mut [], timeout.as_ref()),
        [first, ..] if sources.len() <= SOURCES_ON_STACK => {
            let mut polled: [PollFd<'_>; SOURCES_ON_STACK] =
                std::array::from_fn(|index| sources.get(index).unwrap_or(first).to_poll());
            poll(&mut polled[..sources.len()], timeout.as_ref())
        }
        many => {
            let mut polled: Vec<PollFd<'_>> = many.iter().map(|source| source.to_poll()).collect();
            poll(&mut polled, timeout.as_ref())
        }
    };
    match ended {
        Ok(0) => Ok(WaitEnd::TimedOut),
        Ok(_) => Ok(WaitEnd::Ready),
        Err(Errno::INTR) => Ok(WaitEnd::Interrupted),
        Err(error) => Err(error.into()),
    }
}

/// Waits at most `timeout` until the source is ready. Returns whether it is. Signals do not end the wait.
///
/// # Errors
/// As [`wait`].
pub fn is_ready_within(source: WaitSource<'_>, timeout: Duration) -> io::Result<bool> {
    let give_up_at = clock::monotonic().saturating_add(timeout);
    loop {
        let left = give_up_at.saturating_sub(clock::monotonic());
        match wait(&[source], Some(left))? {
            WaitEnd::Ready => return Ok(true),
            WaitEnd::TimedOut => return Ok(false),
            WaitEnd::Interrupted => {}
        }
    }
}

/// Several things that a caller can wait for as one, such as an event loop that accepts one source. It is ready while
/// one of them can be read.
#[derive(Debug)]
pub struct WaitGroup {
    epoll: OwnedFd,
}

impl WaitGroup {
    /// Creates a group. A member that is closed leaves the group.
    ///
    /// # Errors
    /// If this process or the user has no descriptor or watch left.
    pub fn of(members: &[WaitSource<'_>]) -> io::Result<WaitGroup> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for member in members {
            epoll::add(&epoll, member, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(WaitGroup { epoll })
    }
}

impl AsFd for WaitGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
