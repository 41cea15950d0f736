//! A job's output for people: cleaned text, or the exact bytes, written as they come. What was not kept is named.

use std::io::{self, Write};

use homing::OutputChunk;
use homing::core::text::{TextStream, grouped};

use crate::exit::{Failure, note};

/// Takes a job's output piece by piece.
pub(crate) trait OutputSink {
    /// Takes the next piece.
    fn take(&mut self, chunk: &OutputChunk) -> Result<(), Failure>;

    /// Takes note that nothing more comes.
    fn finish(&mut self) -> Result<(), Failure>;
}

/// Writes cleaned text to standard output.
pub(crate) struct TextSink(TextStream);

impl TextSink {
    pub(crate) fn starting_at(from: u64) -> TextSink {
        TextSink(TextStream::starting_at(from))
    }
}

impl OutputSink for TextSink {
    fn take(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        write_now(self.0.push(chunk.offset, &chunk.bytes).as_bytes())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        write_now(self.0.finish().as_bytes())
    }
}

/// Keeps cleaned text in memory.
pub(crate) struct CollectingSink {
    stream: TextStream,
    text: String,
}

impl CollectingSink {
    pub(crate) fn starting_at(from: u64) -> CollectingSink {
        CollectingSink { stream: TextStream::starting_at(from), text: String::new() }
    }

    /// The text of what was taken.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What is known of the output besides its text.
    pub(crate) fn stream(&self) -> &TextStream {
        &self.stream
    }
}

impl OutputSink for CollectingSink {
    fn take(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        self.text += &self.stream.push(chunk.offset, &chunk.bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.text += &self.stream.finish();
        Ok(())
    }
}

/// Writes the exact bytes to standard output. What was not kept is named on standard error.
pub(crate) struct RawSink {
    next: u64,
}

impl RawSink {
    pub(crate) fn starting_at(from: u64) -> RawSink {
        RawSink { next: from }
    }
}

impl OutputSink for RawSink {
    fn take(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        let missing = chunk.offset.saturating_sub(self.next);
        if missing > 0 {
            note(&format!("{} bytes omitted at offset {}", grouped(missing), self.next));
        }
        self.next = chunk.end();
        write_now(&chunk.bytes)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

fn write_now(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}
