//! Waits for several things at once, with a timeout and without polling.
//!
//! A [`WaitSource`] stands for anything that can become ready: a pipe, a process, a change notification, a timer. All are
//! descriptors for poll(2): pipes, sockets, regular files, terminals, kqueues. For other character devices, such as
//! `/dev/tty` and `/dev/null`, poll(2) fails (`POLLNVAL`); they count as ready.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::clock;
use super::kqueue::{Filter, Kqueue};

pub use super::wait_group::WaitGroup;

/// The longest time for one poll(2), which counts milliseconds in an `int`.
const LONGEST_POLL: Duration = Duration::from_secs(24 * 60 * 60);

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

    /// Returns the number of its descriptor, for event loops of other languages.
    pub fn descriptor(self) -> Option<RawFd> {
        Some(self.descriptor.as_raw_fd())
    }

    fn to_poll(self) -> PollFd<'a> {
        let events = if self.interest == Interest::Writable { PollFlags::OUT } else { PollFlags::IN };
        PollFd::from_borrowed_fd(self.descriptor, events)
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
    let give_up_at = timeout.map(|timeout| clock::monotonic().saturating_add(timeout));
    if sources.iter().any(|source| source.interest == Interest::Disconnected) {
        return wait_for_hangup(sources, give_up_at);
    }
    poll_until(sources, give_up_at)
}

/// Waits also for sources that are waited for until their other end is closed. poll(2) reports that only together with
/// other events, and returns for them too.
fn wait_for_hangup(sources: &[WaitSource<'_>], give_up_at: Option<Duration>) -> io::Result<WaitEnd> {
    let hangups = Kqueue::new()?;
    let (mut others, mut is_needed) = (Vec::with_capacity(sources.len() + 1), false);
    for source in sources {
        match source.interest {
            Interest::Readable | Interest::Writable => others.push(*source),
            // A file that kqueue(2) does not support has no other end.
            Interest::Disconnected => {
                is_needed |= hangups.add(Filter::readable(source.descriptor, 0)).is_ok();
            }
        }
    }
    if is_needed {
        others.push(hangups.as_wait_source());
    }
    loop {
        let ended = poll_until(&others, give_up_at)?;
        let events = hangups.next_events();
        let is_only_data =
            ended == WaitEnd::Ready && !events.is_empty() && !events.iter().any(|event| event.is_end);
        // Data to read is reported once, so the next wait is for more data or the end. Another source that is ready is
        // still ready then.
        if !is_only_data {
            return Ok(ended);
        }
    }
}

/// Repeats poll(2) until a source is ready, a signal arrives, or a time on the monotonic clock is reached.
fn poll_until(sources: &[WaitSource<'_>], give_up_at: Option<Duration>) -> io::Result<WaitEnd> {
    loop {
        let left = give_up_at.map(|at| at.saturating_sub(clock::monotonic()));
        match poll_once(sources, left.map(|left| timespec(left.min(LONGEST_POLL))).as_ref()) {
            Ok(0) if left.is_none_or(|left| left > LONGEST_POLL) => {}
            Ok(0) => return Ok(WaitEnd::TimedOut),
            Ok(_) => return Ok(WaitEnd::Ready),
            Err(Errno::INTR) => return Ok(WaitEnd::Interrupted),
            Err(error) => return Err(error.into()),
        }
    }
}

fn poll_once(sources: &[WaitSource<'_>], timeout: Option<&Timespec>) -> rustix::io::Result<usize> {
    match sources {
        [] => poll(&mut [], timeout),
        [first, ..] if sources.len() <= SOURCES_ON_STACK => {
            let mut polled: [PollFd<'_>; SOURCES_ON_STACK] =
                std::array::from_fn(|index| sources.get(index).unwrap_or(first).to_poll());
            poll(&mut polled[..sources.len()], timeout)
        }
        many => {
            let mut polled: Vec<PollFd<'_>> = many.iter().map(|source| source.to_poll()).collect();
            poll(&mut polled, timeout)
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
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
