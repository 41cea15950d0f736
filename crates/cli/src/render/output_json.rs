//! The output of a job for programs: documents with the text and the offset to continue from.

use homing::core::text::TextStream;
use homing::{Homing, JobId, OutputChunk};
use serde::Serialize;

use super::output::{CollectingSink, OutputSink};
use super::print_json;
use crate::exit::Failure;

/// A part of the output.
#[derive(Serialize)]
struct OutputDocument<'a> {
    id: JobId,
    /// Offset of the first byte of the text.
    from: u64,
    /// Offset to continue from.
    next: u64,
    /// Bytes that the job has written so far.
    total_bytes: u64,
    /// Omitted bytes between `from` and `next`.
    omitted_bytes: u64,
    text: &'a str,
}

/// Prints the output as one document.
pub(crate) struct DocumentSink<'a> {
    homing: &'a Homing,
    id: JobId,
    from: u64,
    collected: CollectingSink,
}

impl DocumentSink<'_> {
    pub(crate) fn new(homing: &Homing, id: JobId, from: u64) -> DocumentSink<'_> {
        DocumentSink { homing, id, from, collected: CollectingSink::starting_at(from) }
    }
}

impl OutputSink for DocumentSink<'_> {
    fn write(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        self.collected.write(chunk)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.collected.finish()?;
        let stream = self.collected.stream();
        print_json(&OutputDocument {
            id: self.id,
            from: self.from,
            next: stream.next(),
            total_bytes: self.homing.output_end(self.id)?,
            omitted_bytes: stream.omitted_bytes(),
            text: self.collected.text(),
        })
    }
}

/// Prints one document per line of JSON, each time a line of output is complete.
pub(crate) struct DocumentLinesSink<'a> {
    homing: &'a Homing,
    id: JobId,
    from: u64,
    reported_omitted_bytes: u64,
    stream: TextStream,
}

impl DocumentLinesSink<'_> {
    pub(crate) fn new(homing: &Homing, id: JobId, from: u64) -> DocumentLinesSink<'_> {
        DocumentLinesSink {
            homing,
            id,
            from,
            reported_omitted_bytes: 0,
            stream: TextStream::starting_at(from),
        }
    }

    fn print(&mut self, text: &str, next: u64) -> Result<(), Failure> {
        let omitted_bytes = self.stream.omitted_bytes();
        print_json(&OutputDocument {
            id: self.id,
            from: self.from,
            next,
            total_bytes: self.homing.output_end(self.id)?,
            omitted_bytes: omitted_bytes - self.reported_omitted_bytes,
            text,
        })?;
        self.reported_omitted_bytes = omitted_bytes;
        self.from = next;
        Ok(())
    }
}

impl OutputSink for DocumentLinesSink<'_> {
    fn write(&mut self, chunk: &OutputChunk) -> Result<(), Failure> {
        let text = self.stream.push(chunk.offset, &chunk.bytes);
        if text.is_empty() {
            return Ok(());
        }
        // The text does not contain an incomplete last line yet. `next` is the start of that line.
        let line_end = chunk.bytes.iter().rposition(|&byte| byte == b'\n');
        let next = line_end.map_or(chunk.end(), |position| chunk.offset + position as u64 + 1);
        self.print(&text, next)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let text = self.stream.finish();
        let next = self.stream.next();
        if next > self.from { self.print(&text, next) } else { Ok(()) }
    }
}
