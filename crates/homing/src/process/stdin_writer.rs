//! What a program reads on its standard input: a pipe that never holds up whoever fills it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// What a pipe holds as it comes (pipe(7)).
const PIPE_BYTES: usize = 64 << 10;

/// The largest pipe that a user may ask for by default (pipe(7)).
const MAX_PIPE_BYTES: usize = 1 << 20;

/// The rest of an input that is still to be written.
#[derive(Debug)]
pub(crate) struct StdinWriter {
    input: Vec<u8>,
    written: usize,
    /// Closed as soon as everything is written, or nobody reads any more.
    pipe: Option<OwnedFd>,
}

impl StdinWriter {
    /// Makes a pipe, and fills it with as much as it takes. Returns its reading end for the program.
    ///
    /// # Errors
    /// When no pipe can be made.
    pub(crate) fn new(input: Vec<u8>) -> io::Result<(OwnedFd, StdinWriter)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // Only this end: the program expects its own to wait.
        fcntl_setfl(&writer, OFlags::NONBLOCK)?;
        if input.len() > PIPE_BYTES {
            // Where the user has used up what pipes may hold, the pipe stays small, and is filled bit by bit.
            let _ = fcntl_setpipe_size(&writer, input.len().min(MAX_PIPE_BYTES));
        }
        let mut feed = StdinWriter { input, written: 0, pipe: Some(writer) };
        feed.write();
        Ok((reader, feed))
    }

    /// Writes as much as the pipe takes now, and closes it after the last byte.
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
                // Nobody reads it: no failure, the program's status tells whether it could do without.
                Err(_) => self.pipe = None,
            }
        }
    }

    /// To be waited for until it takes more; `None` once there is nothing more to write.
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
    fn an_input_is_in_the_pipe_before_anybody_reads() {
        let input = vec![b'x'; 200 << 10];
        let (reader, feed) = StdinWriter::new(input.clone()).unwrap();
        assert!(feed.pipe().is_none());
        let mut read = Vec::new();
        File::from(reader).read_to_end(&mut read).unwrap();
        assert_eq!(read, input);
    }

    #[test]
    fn what_does_not_fit_follows_bit_by_bit_and_nobody_waits() {
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
    fn an_input_that_nobody_reads_is_given_up() {
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
