//! Wakes a wait from another thread, or at a set time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::clock::timespec;

/// Wakes a wait in one thread from any other one: it is ready from [`Notifier::notify`] to [`Notifier::clear`].
#[derive(Debug)]
pub struct Notifier {
    counter: OwnedFd,
}

impl Notifier {
    /// Creates a notifier that is not ready.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn new() -> io::Result<Notifier> {
        Ok(Notifier { counter: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Makes it ready. Put the message into its queue before this call.
    pub fn notify(&self) {
        // Fails only if the counter is full, and then it is ready already.
        let _ = rustix::io::write(&self.counter, &1_u64.to_ne_bytes());
    }

    /// Makes it not ready. Read the queue after this call: a message that arrives in between makes it ready again.
    pub fn clear(&self) {
        // Fails only if it is not ready.
        let _ = rustix::io::read(&self.counter, &mut [0; 8]);
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}

/// Wakes a wait at a set time on the clock that includes suspend ([`uptime`](super::clock::uptime)).
#[derive(Debug)]
pub struct Timer {
    timer: OwnedFd,
}

/// The time that stops a timer.
const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

impl Timer {
    /// Creates a timer that is not set.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Timer { timer: timerfd_create(TimerfdClockId::Boottime, flags)? })
    }

    /// Sets the time from which on it is ready, or stops it with `None`. It is not ready until then, even if it was
    /// before.
    pub fn set(&self, at: Option<Duration>) {
        // A time of zero would stop it.
        let at = at.map_or(NEVER, |at| timespec(at.max(Duration::from_nanos(1))));
        let once = Itimerspec { it_interval: NEVER, it_value: at };
        // Fails only for arguments that it does not get here.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}
