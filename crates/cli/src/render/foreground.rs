//! The output of a job that this command runs in the foreground: the exact bytes, or what is safe for a terminal.

use std::io::{self, IsTerminal, Write};

use homing::core::text::grouped;
use homing::{OutputChunk, OutputStream};
use homing_supervisor::platform::wait::{AsWaitSource, wait};

use super::messages::note;
use super::terminal::TerminalFilter;
use crate::exit::Failure;

/// Writes each stream of a job to the same stream of this process, and reports bytes that are missing.
pub(crate) struct Foreground {
    output: Option<TerminalFilter>,
    error: Option<TerminalFilter>,
    next: u64,
    missing: u64,
}

impl Foreground {
    /// Begins at the beginning of the output.
    pub(crate) fn new() -> Foreground {
        let filter = |is_terminal: bool| is_terminal.then(TerminalFilter::default);
        Foreground {
            output: filter(io::stdout().is_terminal()),
            error: filter(io::stderr().is_terminal()),
            next: 0,
            missing: 0,
        }
    }

    /// Writes a piece.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&mut self, stream: OutputStream, chunk: &OutputChunk) -> Result<(), Failure> {
        self.expect_offset(chunk.offset);
        self.next = chunk.end();
        match stream {
            OutputStream::Output => write_to(&mut io::stdout().lock(), self.output.as_mut(), &chunk.bytes),
            OutputStream::Error => write_to(&mut io::stderr().lock(), self.error.as_mut(), &chunk.bytes),
        }
    }

    /// Ends the styles that the job has left on a terminal.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        let rest = |filter: &mut Option<TerminalFilter>| filter.as_mut().map(TerminalFilter::finish);
        write_to(&mut io::stdout().lock(), None, &rest(&mut self.output).unwrap_or_default())?;
        write_to(&mut io::stderr().lock(), None, &rest(&mut self.error).unwrap_or_default())
    }

    /// Reports the bytes up to the end of the output that were not kept. Returns the number of all missing bytes.
    pub(crate) fn missing_of(&mut self, total_bytes: u64) -> u64 {
        self.expect_offset(total_bytes);
        self.missing
    }

    fn expect_offset(&mut self, offset: u64) {
        let missing = offset.saturating_sub(self.next);
        if missing > 0 {
            note(&format!("{} bytes omitted at offset {}", grouped(missing), self.next));
            self.missing += missing;
            self.next = offset;
        }
    }
}

fn write_to(
    target: &mut (impl Write + AsWaitSource),
    filter: Option<&mut TerminalFilter>,
    bytes: &[u8],
) -> Result<(), Failure> {
    match filter {
        Some(filter) => write_now(target, &filter.push(bytes)),
        None => write_now(target, bytes),
    }
}

/// Writes all bytes. Waits if the target is full, although another program may have made its writes not wait.
fn write_now(target: &mut (impl Write + AsWaitSource), mut bytes: &[u8]) -> Result<(), Failure> {
    loop {
        let written = if bytes.is_empty() { target.flush().map(|()| 0) } else { target.write(bytes) };
        match written {
            Ok(_) if bytes.is_empty() => return Ok(()),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(&[target.as_wait_source().writable()], None)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
