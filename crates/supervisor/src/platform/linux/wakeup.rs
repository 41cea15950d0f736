//! Ends a wait when the runtime of another language tells that a signal has arrived.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::pipe::{PipeReader, PipeWriter, nonblocking_pipe};

/// A place that the runtime of another language writes to when a signal arrives, such as `signal.set_wakeup_fd` of Python.
/// It is ready for a wait from then until [`Wakeup::take`].
#[derive(Debug)]
pub struct Wakeup {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Wakeup {
    /// Creates it. Nothing is written yet.
    ///
    /// # Errors
    /// If this process or the system has no descriptor left.
    pub fn new() -> io::Result<Wakeup> {
        let (reader, writer) = nonblocking_pipe()?;
        Ok(Wakeup { reader, writer })
    }

    /// Returns the number that the runtime writes to: that of a descriptor, on Windows that of a socket. It is valid as long
    /// as this lives, and writes to it do not wait.
    pub fn number(&self) -> i64 {
        self.writer.as_fd().as_raw_fd().into()
    }

    /// Takes what was written since the last call.
    pub fn take(&self) -> Vec<u8> {
        let mut taken = Vec::new();
        let mut piece = [0; 64];
        // Ends with an error while nothing is written.
        while let Ok(count @ 1..) = self.reader.read(&mut piece) {
            taken.extend_from_slice(&piece[..count]);
        }
        taken
    }
}

impl AsFd for Wakeup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::wait::{AsWaitSource, is_ready_within};
    use super::*;

    #[test]
    fn wakeup_is_ready_from_a_write_until_it_is_taken() {
        let wakeup = Wakeup::new().expect("a wakeup");
        let is_ready = |limit| is_ready_within(wakeup.as_wait_source(), limit).expect("a wait");
        assert!(wakeup.take().is_empty());
        let pieces: [&[u8]; 2] = [&[2], &[2, 15, 2]];
        for bytes in pieces {
            assert!(!is_ready(Duration::ZERO));
            for byte in bytes {
                wakeup.writer.write_all(&[*byte]).expect("it is written");
            }
            assert!(is_ready(Duration::from_secs(60)));
            assert_eq!(wakeup.take(), bytes);
        }
        assert!(!is_ready(Duration::ZERO));
    }
}
