//! A reader that its launcher attached to a job: it reads the output while the job runs, and gets every byte. It reports
//! in one pipe how far it has read. If the streams are kept apart, the supervisor writes into another pipe which stream
//! each byte came from; on disk the output is one sequence.
//!
//! The job waits for a slow reader, as it would wait for a slow terminal. A reader that ends closes its pipes: then the
//! job continues without it.

use std::collections::VecDeque;
use std::io;

use crate::platform::detach::{copy_stdout_pipe, take_stderr_pipe};
use crate::platform::errors::would_block;
use crate::platform::pipe::{PipeReader, PipeWriter};
use crate::platform::wait::{AsWaitSource, WaitSource};

/// Size of a report of progress, and of a segment, in bytes. Writes of this size to a pipe are atomic (pipe(7)).
const WORD: usize = 8;

/// Reports that are read at once.
const REPORTS: usize = 64;

/// How the streams of a job reach an attached reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// As one, in the order written.
    Merged,
    /// Kept apart. The order of bytes of different streams is lost.
    Split,
}

/// A stream of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output, or both streams if they are not kept apart.
    Output,
    /// Standard error.
    Error,
}

/// The bytes of the output up to an offset, from the end of the segment before it. They came from one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The offset after the last byte.
    pub end: u64,
    /// The stream.
    pub stream: OutputStream,
}

impl Segment {
    fn to_bytes(self) -> [u8; WORD] {
        (self.end << 1 | u64::from(self.stream == OutputStream::Error)).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; WORD]) -> Segment {
        let word = u64::from_le_bytes(bytes);
        Segment {
            end: word >> 1,
            stream: if word & 1 == 0 { OutputStream::Output } else { OutputStream::Error },
        }
    }

    /// Reads the next segment; `None` if the supervisor writes no more.
    ///
    /// # Errors
    /// If the pipe cannot be read.
    pub fn read(pipe: &PipeReader) -> io::Result<Option<Segment>> {
        let mut bytes = [0; WORD];
        Ok((pipe.read(&mut bytes)? == WORD).then(|| Segment::from_bytes(bytes)))
    }
}

/// Reports to the supervisor that the reader has read all bytes before this offset. Does nothing if the supervisor has
/// ended.
pub fn report_progress(pipe: &PipeWriter, read_to: u64) {
    let _ = pipe.write(&read_to.to_le_bytes());
}

/// The supervisor's side of an attached reader.
#[derive(Debug)]
pub(super) struct AttachedReader {
    progress: PipeReader,
    read_to: u64,
    segments: Option<SegmentWriter>,
}

/// Writes segments.
#[derive(Debug)]
struct SegmentWriter {
    pipe: PipeWriter,
    /// Not written yet, because the pipe was full.
    pending: VecDeque<Segment>,
}

impl AttachedReader {
    /// Takes the pipes that the launcher passed. Call it before the launcher is answered.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub(super) fn take(streams: Streams) -> io::Result<AttachedReader> {
        let segments = match streams {
            Streams::Merged => None,
            Streams::Split => Some(SegmentWriter { pipe: copy_stdout_pipe()?, pending: VecDeque::new() }),
        };
        Ok(AttachedReader { progress: take_stderr_pipe()?, read_to: 0, segments })
    }

    /// Reads the reports that have arrived, and writes pending segments. Returns the offset up to which the reader has
    /// read; `None` if it has ended.
    pub(super) fn update(&mut self) -> Option<u64> {
        let mut reports = [0; WORD * REPORTS];
        loop {
            match self.progress.read(&mut reports) {
                Ok(0) => return None,
                Ok(count) => {
                    let last = reports[..count].rchunks_exact(WORD).next();
                    let read_to = last.and_then(|report| report.try_into().ok()).map(u64::from_le_bytes);
                    self.read_to = self.read_to.max(read_to.unwrap_or_default());
                }
                Err(error) if would_block(&error) => break,
                Err(_) => return None,
            }
        }
        let is_open = self.segments.as_mut().is_none_or(SegmentWriter::write_pending);
        is_open.then_some(self.read_to)
    }

    /// Whether a segment could not be written yet.
    pub(super) fn has_pending(&self) -> bool {
        self.segments.as_ref().is_some_and(|segments| !segments.pending.is_empty())
    }

    /// Reports to the reader which stream the bytes up to `end` came from.
    pub(super) fn announce(&mut self, stream: OutputStream, end: u64) {
        if let Some(segments) = &mut self.segments {
            match segments.pending.back_mut() {
                Some(last) if last.stream == stream => last.end = end,
                Some(_) | None => segments.pending.push_back(Segment { end, stream }),
            }
            // If the reader has ended, the next update says so.
            segments.write_pending();
        }
    }

    /// What to wait for: a report, the end of the reader, and room for pending segments.
    pub(super) fn wait_sources(&self) -> impl Iterator<Item = WaitSource<'_>> {
        let pending = self.segments.as_ref().filter(|segments| !segments.pending.is_empty());
        let room = pending.map(|segments| segments.pipe.as_wait_source().writable());
        std::iter::once(self.progress.as_wait_source()).chain(room)
    }
}

impl SegmentWriter {
    /// Writes as many segments as fit. Returns whether the reader still exists.
    fn write_pending(&mut self) -> bool {
        while let Some(next) = self.pending.front() {
            match self.pipe.write(&next.to_bytes()) {
                Ok(_) => drop(self.pending.pop_front()),
                Err(error) => return would_block(&error),
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::pipe::{nonblocking_pipe, pipe};

    /// A supervisor's side, and the two pipes of its reader.
    fn attached() -> (AttachedReader, PipeWriter, PipeReader) {
        let (progress, reports) = nonblocking_pipe().unwrap();
        let (segments, segment_writer) = pipe().unwrap();
        segment_writer.set_nonblocking().unwrap();
        let segment_writer = SegmentWriter { pipe: segment_writer, pending: VecDeque::new() };
        (AttachedReader { progress, read_to: 0, segments: Some(segment_writer) }, reports, segments)
    }

    #[test]
    fn reports_are_read_until_the_reader_ends() {
        let (mut supervisor, reports, _segments) = attached();
        assert_eq!(supervisor.update(), Some(0));
        for offset in 1..=1_000 {
            report_progress(&reports, offset);
        }
        assert_eq!(supervisor.update(), Some(1_000));
        drop(reports);
        assert_eq!(supervisor.update(), None);
    }

    #[test]
    fn segments_wait_in_memory_while_the_pipe_is_full_and_none_is_lost() {
        let (mut supervisor, _reports, segments) = attached();
        let stream =
            |end: u64| if end.is_multiple_of(2) { OutputStream::Output } else { OutputStream::Error };
        let mut announced = 0;
        while !supervisor.has_pending() {
            announced += 1;
            supervisor.announce(stream(announced), announced);
        }
        // The same stream extends a segment that is not written yet.
        supervisor.announce(stream(announced), announced + 10);
        for expected in 1..announced {
            let segment = Segment::read(&segments).unwrap().unwrap();
            assert_eq!(segment, Segment { end: expected, stream: stream(expected) });
        }
        assert_eq!(supervisor.update(), Some(0));
        assert!(!supervisor.has_pending());
        let last = Segment::read(&segments).unwrap().unwrap();
        assert_eq!(last, Segment { end: announced + 10, stream: stream(announced) });
        drop(supervisor);
        assert_eq!(Segment::read(&segments).unwrap(), None);
    }

    #[test]
    fn a_reader_that_ends_with_pending_segments_is_noticed() {
        let (mut supervisor, _reports, segments) = attached();
        drop(segments);
        supervisor.announce(OutputStream::Error, 10);
        assert_eq!(supervisor.update(), None);
    }
}
