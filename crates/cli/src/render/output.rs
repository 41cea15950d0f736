//! The output of a job for people: clean text or the exact bytes, written as they arrive. Reports omitted bytes.

use std::io::{self, Write};

use homing::OutputChunk;
use homing::core::text::{TextStream, grouped};

use super::messages::note;
use crate::exit::Failure;

/// Receives the output of a job in chunks.
pub(crate) trait OutputSink {
    /// Receives the next chunk.
    fn write(&mut self, chunk: &OutputChunk) -> Result<(), Failure>;

    /// Called after the last chunk.
    fn finish(&mut self) -> Result<(), Failure>;
}

/// Writes clean text to standard output.
pub(crate) struct TextSink(TextStream);

impl TextSink {
    pub(crate) fn starting_at(from: u64) -> TextSink {
        TextSink(TextStream::starting_at(from))
    }
}

impl OutputSink for TextSink {
    fn write(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        write_now(self.0.push(chunk.offset, &chunk.bytes).as_bytes())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        write_now(self.0.finish().as_bytes())
    }
}

/// Collects clean text in memory.
pub(crate) struct CollectingSink {
    stream: TextStream,
    text: String,
}

impl CollectingSink {
    pub(crate) fn starting_at(from: u64) -> CollectingSink {
        CollectingSink { stream: TextStream::starting_at(from), text: String::new() }
    }

    /// The text received so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The state of the text stream: offsets and omitted bytes.
    pub(crate) fn stream(&self) -> &TextStream {
        &self.stream
    }
}

impl OutputSink for CollectingSink {
    fn write(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        self.text += &self.stream.push(chunk.offset, &chunk.bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.text += &self.stream.finish();
        Ok(())
    }
}

/// Writes the exact bytes to standard output, and reports omitted bytes on standard error.
pub(crate) struct RawSink {
    next: u64,
}

impl RawSink {
    pub(crate) fn starting_at(from: u64) -> RawSink {
        RawSink { next: from }
    }
}

impl OutputSink for RawSink {
    fn write(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
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
