//! Writes a program's standard input through a pipe, without blocking.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// The default capacity of a pipe (pipe(7)).
const PIPE_BYTES: usize = 64 << 10;

/// The largest capacity that an unprivileged user may set by default (pipe(7)).
const MAX_PIPE_BYTES: usize = 1 << 20;

/// The rest of an input, and the pipe for it.
#[derive(Debug)]
pub(crate) struct StdinWriter {
    input: Vec<u8>,
    written: usize,
    /// Closed when all is written, or when no process reads it any more.
    pipe: Option<OwnedFd>,
}

impl StdinWriter {
    /// Creates a pipe, and writes as much as fits. Returns the reading end for the program.
    ///
    /// # Errors
    /// If the pipe cannot be created.
    pub(crate) fn new(input: Vec<u8>) -> io::Result<(OwnedFd, StdinWriter)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // Only this end is non-blocking: the program expects its own end to block.
        fcntl_setfl(&writer, OFlags::NONBLOCK)?;
        if input.len() > PIPE_BYTES {
            // If the user has reached the limit for pipes, the pipe stays small and is filled in steps.
            let _ = fcntl_setpipe_size(&writer, input.len().min(MAX_PIPE_BYTES));
        }
        let mut feed = StdinWriter { input, written: 0, pipe: Some(writer) };
        feed.write();
        Ok((reader, feed))
    }

    /// Writes as much as fits now, and closes the pipe after the last byte.
    pub(crate) fn write(&mut self) {
        while let Some(pipe) = &self.pipe {
            let rest = &self.input[self.written..];
            if rest.is_empty() {
                self.pipe = None;
                return;
            }
            match rustix::io::write(pipe, rest) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // The program closed its input. Its exit status shows whether that is an error.
                Err(_) => self.pipe = None,
            }
        }
    }

    /// The pipe to poll for room; `None` once all is written.
    pub(crate) fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    #[test]
    fn an_input_is_in_the_pipe_before_it_is_read() {
        let input = vec![b'x'; 200 << 10];
        let (reader, feed) = StdinWriter::new(input.clone()).unwrap();
        assert!(feed.pipe().is_none());
        let mut read = Vec::new();
        File::from(reader).read_to_end(&mut read).unwrap();
        assert_eq!(read, input);
    }

    #[test]
    fn a_large_input_is_written_in_steps_without_blocking() {
        let input: Vec<u8> = (0..3u32 << 20).map(|index| index.to_le_bytes()[0]).collect();
        let (reader, mut feed) = StdinWriter::new(input.clone()).unwrap();
        let mut reader = File::from(reader);
        let mut read = Vec::new();
        let mut piece = vec![0; 1 << 16];
        loop {
            feed.write();
            match reader.read(&mut piece).unwrap() {
                0 => break,
                count => read.extend_from_slice(&piece[..count]),
            }
        }
        assert!(read == input, "{} bytes", read.len());
    }

    #[test]
    fn an_unread_input_is_dropped() {
        let (reader, mut feed) = StdinWriter::new(vec![0; 3 << 20]).unwrap();
        assert!(feed.pipe().is_some());
        drop(reader);
        // A child that another test is about to start may hold a copy until it executes its program.
        while let Some(pipe) = feed.pipe() {
            poll(&mut [PollFd::new(pipe, PollFlags::OUT)], None).unwrap();
            feed.write();
        }
    }
}
