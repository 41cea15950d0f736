//! Writes a program's standard input through a pipe, without blocking.

use std::io;

use homing_supervisor::platform::errors;
use homing_supervisor::platform::pipe::{DEFAULT_CAPACITY, MAX_CAPACITY, PipeReader, PipeWriter, pipe};

/// The rest of an input, and the pipe for it.
#[derive(Debug)]
pub(crate) struct StdinWriter {
    input: Vec<u8>,
    written: usize,
    /// Closed when all is written, or when no process reads it any more.
    pipe: Option<PipeWriter>,
}

impl StdinWriter {
    /// Creates a pipe, and writes as much as fits. Returns the reading end for the program.
    ///
    /// # Errors
    /// If the pipe cannot be created.
    pub(crate) fn new(input: Vec<u8>) -> io::Result<(PipeReader, StdinWriter)> {
        let (reader, writer) = pipe()?;
        // Only this end is non-blocking: the program expects its own end to block.
        writer.set_nonblocking()?;
        if input.len() > DEFAULT_CAPACITY {
            // If the user has reached the limit for pipes, the pipe stays small and is filled in steps.
            let _ = writer.set_capacity(input.len().min(MAX_CAPACITY));
        }
        let mut stdin = StdinWriter { input, written: 0, pipe: Some(writer) };
        stdin.write();
        Ok((reader, stdin))
    }

    /// Writes as much as fits now, and closes the pipe after the last byte.
    pub(crate) fn write(&mut self) {
        while let Some(pipe) = &self.pipe {
            let rest = &self.input[self.written..];
            if rest.is_empty() {
                self.pipe = None;
                return;
            }
            match pipe.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if errors::would_block(&error) => return,
                // The program closed its input. Its exit status shows whether that is an error.
                Err(_) => self.pipe = None,
            }
        }
    }

    /// The pipe, to wait until it can be written; `None` once all is written.
    pub(crate) fn pipe(&self) -> Option<&PipeWriter> {
        self.pipe.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use homing_supervisor::platform::wait::{AsWaitSource, wait};

    use super::*;

    /// Reads everything that the writer has left to write.
    fn read_all(reader: &PipeReader, stdin: &mut StdinWriter) -> Vec<u8> {
        let mut read = Vec::new();
        let mut piece = vec![0; 1 << 16];
        loop {
            stdin.write();
            match reader.read(&mut piece).unwrap() {
                0 => return read,
                count => read.extend_from_slice(&piece[..count]),
            }
        }
    }

    #[test]
    fn an_input_is_in_the_pipe_before_it_is_read() {
        let input = vec![b'x'; 200 << 10];
        let (reader, mut stdin) = StdinWriter::new(input.clone()).unwrap();
        assert!(stdin.pipe().is_none());
        assert_eq!(read_all(&reader, &mut stdin), input);
    }

    #[test]
    fn a_large_input_is_written_in_steps_without_blocking() {
        let input: Vec<u8> = (0..3u32 << 20).map(|index| index.to_le_bytes()[0]).collect();
        let (reader, mut stdin) = StdinWriter::new(input.clone()).unwrap();
        let read = read_all(&reader, &mut stdin);
        assert!(read == input, "{} bytes", read.len());
    }

    #[test]
    fn an_unread_input_is_dropped() {
        let (reader, mut stdin) = StdinWriter::new(vec![0; 3 << 20]).unwrap();
        assert!(stdin.pipe().is_some());
        drop(reader);
        // A child that another test is about to start may hold a copy until it executes its program.
        while let Some(pipe) = stdin.pipe() {
            wait(&[pipe.as_wait_source().writable()], None).unwrap();
            stdin.write();
        }
    }
}
