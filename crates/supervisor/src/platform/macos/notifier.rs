//! Wakes a wait from another thread, or at a set time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::clock;
use super::kqueue::{Filter, Kqueue};
use super::pipe::{PipeReader, PipeWriter, nonblocking_pipe};
use super::wait_group::settle_all;

/// Wakes a wait in one thread from any other one: it is ready from [`Notifier::notify`] to [`Notifier::clear`].
#[derive(Debug)]
pub struct Notifier {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Notifier {
    /// Creates a notifier that is not ready.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn new() -> io::Result<Notifier> {
        // A pipe, not an event of a kqueue: event loops of other languages accept it too.
        let (reader, writer) = nonblocking_pipe()?;
        Ok(Notifier { reader, writer })
    }

    /// Makes it ready. Put the message into its queue before this call.
    pub fn notify(&self) {
        // Fails only if the pipe is full, and then it is ready already.
        let _ = self.writer.write(b"!");
    }

    /// Makes it not ready. Read the queue after this call: a message that arrives in between makes it ready again.
    pub fn clear(&self) {
        let mut bytes = [0; 64];
        while self.reader.read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
        settle_all();
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Wakes a wait at a set time on the clock that includes suspend ([`uptime`](super::clock::uptime)).
#[derive(Debug)]
pub struct Timer {
    kqueue: Kqueue,
}

impl Timer {
    /// Creates a timer that is not set.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn new() -> io::Result<Timer> {
        Ok(Timer { kqueue: Kqueue::new()? })
    }

    /// Sets the time from which on it is ready, or stops it with `None`. It is not ready until then, even if it was
    /// before.
    pub fn set(&self, at: Option<Duration>) {
        self.kqueue.remove(timer(0));
        if let Some(at) = at {
            let ticks = isize::try_from(clock::continuous_ticks(at)).unwrap_or(isize::MAX);
            // Fails only if the system has no memory left. Then it is ready at once, which is early and does no harm.
            if self.kqueue.add(timer(ticks)).is_err() {
                let _ = self.kqueue.make_ready(0);
            }
        }
        settle_all();
    }
}

/// A timer for a time in ticks of mach_continuous_time (kqueue(2), `sys/event.h`).
fn timer(ticks: isize) -> Filter {
    Filter {
        ident: 0,
        filter: libc::EVFILT_TIMER,
        notes: libc::NOTE_MACHTIME | libc::NOTE_ABSOLUTE | libc::NOTE_MACH_CONTINUOUS_TIME,
        data: ticks,
        tag: 0,
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}
