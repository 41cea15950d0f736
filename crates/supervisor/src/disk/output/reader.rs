//! Reads the output of a job from any offset, also while it is being written. Reports gaps.

use std::fs::File;
use std::io;
use std::time::SystemTime;

use super::ring::RingHeader;
use crate::disk::directory::Directory;
use crate::disk::error::DiskError;
use crate::names::{OUTPUT_HEAD, OUTPUT_TAIL};
use crate::platform::{errors, file};

/// How often a torn header is read again.
const HEADER_ATTEMPTS: usize = 100;

/// Bytes of output and their offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputChunk {
    /// The absolute offset of the first byte. If it is greater than the requested offset, the bytes between were not
    /// kept.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl OutputChunk {
    /// Returns the offset of the next read.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// The reading side of a job's output.
#[derive(Debug)]
pub struct OutputReader {
    head: Option<File>,
    tail: Option<File>,
    directory: Directory,
    /// Maximum number of bytes to read from the head. A supervisor never writes more.
    head_limit: u64,
}

impl OutputReader {
    /// Opens the output of a job. Each read checks again for files that do not exist yet.
    ///
    /// # Errors
    /// If one of its files cannot be opened.
    pub fn open(directory: Directory) -> Result<OutputReader, DiskError> {
        let mut reader = OutputReader { head: None, tail: None, directory, head_limit: u64::MAX };
        reader.open_new_files()?;
        Ok(reader)
    }

    /// Limits the head to the size that the job's spec allows, even if its file is larger.
    #[must_use]
    pub fn with_head_limit(self, bytes: u64) -> OutputReader {
        OutputReader { head_limit: bytes, ..self }
    }

    fn open_new_files(&mut self) -> Result<(), DiskError> {
        // The ring first: once it exists, the head does not grow any more.
        if self.tail.is_none() {
            self.tail = self.open_output(OUTPUT_TAIL)?;
        }
        if self.head.is_none() {
            self.head = self.open_output(OUTPUT_HEAD)?;
        }
        Ok(())
    }

    /// Opens a file of the output. Ignores a planted symbolic link or other non-regular file, as the writer does, so
    /// that the other file stays readable.
    fn open_output(&self, name: &str) -> Result<Option<File>, DiskError> {
        match self.directory.open_to_read(name) {
            Err(error) if is_planted(&error) => Ok(None),
            opened => opened,
        }
    }

    /// Returns the offset after the last byte.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn end(&mut self) -> Result<u64, DiskError> {
        self.open_new_files()?;
        match self.ring()? {
            Some(ring) => Ok(ring.committed),
            None => self.head_length(),
        }
    }

    /// Returns the number of kept bytes, in head and ring.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn kept_bytes(&mut self) -> Result<u64, DiskError> {
        self.open_new_files()?;
        let ring = self.ring()?;
        let head = self.head_length()?;
        Ok(head + ring.map_or(0, |ring| ring.committed - ring.readable_from().max(head).min(ring.committed)))
    }

    /// Returns when output was last written, by the wall clock. `None` if there is no output.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn last_write(&mut self) -> Result<Option<SystemTime>, DiskError> {
        if self.end()? == 0 {
            return Ok(None);
        }
        let mut last = None;
        for (name, file) in [(OUTPUT_HEAD, &self.head), (OUTPUT_TAIL, &self.tail)] {
            let Some(file) = file else { continue };
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            last = last.max(Some(modified.map_err(|e| self.failed(name, e))?));
        }
        Ok(last)
    }

    /// Reads at most `limit` bytes from the first kept offset at or after `from`. An empty chunk means that there is
    /// no kept output at or after `from`, at least not yet. The bytes are contiguous: a gap ends the chunk.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn read(&mut self, from: u64, limit: usize) -> Result<OutputChunk, DiskError> {
        self.open_new_files()?;
        // The ring before the head's length: see `open_new_files`.
        let ring = self.ring()?;
        let head_length = self.head_length()?;
        if let Some(head) = &self.head
            && from < head_length
        {
            let limit = usize::try_from(head_length - from).unwrap_or(usize::MAX).min(limit);
            let bytes = read_at(head, from, limit).map_err(|e| self.failed(OUTPUT_HEAD, e))?;
            return Ok(OutputChunk { offset: from, bytes });
        }
        match (ring, &self.tail) {
            (Some(ring), Some(tail)) => {
                self.read_ring(tail, ring, from, limit).map_err(|e| self.failed(OUTPUT_TAIL, e))
            }
            _ => Ok(OutputChunk { offset: from, bytes: Vec::new() }),
        }
    }

    fn read_ring(&self, tail: &File, ring: RingHeader, from: u64, limit: usize) -> io::Result<OutputChunk> {
        let start = from.max(ring.readable_from());
        let available = usize::try_from(ring.committed.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        let wanted = available.min(limit);
        while bytes.len() < wanted {
            let (position, until_wrap) = ring.place(start + bytes.len() as u64);
            let piece = usize::try_from(until_wrap).unwrap_or(usize::MAX).min(wanted - bytes.len());
            let mut read = read_at(tail, position, piece)?;
            if read.is_empty() {
                break;
            }
            bytes.append(&mut read);
        }
        // Discard bytes that the writer may have overwritten meanwhile.
        let now = read_header(tail)?.unwrap_or(ring);
        let stale = usize::try_from(now.readable_from().saturating_sub(start)).unwrap_or(usize::MAX);
        let stale = stale.min(bytes.len());
        bytes.drain(..stale);
        Ok(OutputChunk { offset: start + stale as u64, bytes })
    }

    fn ring(&self) -> Result<Option<RingHeader>, DiskError> {
        let Some(tail) = &self.tail else { return Ok(None) };
        read_header(tail).map_err(|e| self.failed(OUTPUT_TAIL, e))
    }

    fn head_length(&self) -> Result<u64, DiskError> {
        let Some(head) = &self.head else { return Ok(0) };
        let metadata = head.metadata().map_err(|e| self.failed(OUTPUT_HEAD, e))?;
        Ok(metadata.len().min(self.head_limit))
    }

    fn failed(&self, name: &str, error: io::Error) -> DiskError {
        self.directory.error("read", name, error)
    }
}

/// Whether the entry exists but is not a regular file.
fn is_planted(error: &DiskError) -> bool {
    error.source.kind() == io::ErrorKind::InvalidInput || errors::is_link(&error.source)
}

fn read_header(tail: &File) -> io::Result<Option<RingHeader>> {
    for _ in 0..HEADER_ATTEMPTS {
        if let Some(header) = RingHeader::read(tail)? {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let filled = file::read_at(file, &mut bytes, offset)?;
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::super::{Drained, MIN_ATTACHED_RING_BYTES, OutputWriter};
    use super::*;
    use crate::platform::file::open_null;
    use crate::platform::pipe::{PipeReader, PipeWriter, nonblocking_pipe};

    /// A writer with its pipe, and a reader for the same directory.
    struct Both {
        writer: OutputWriter,
        reader: OutputReader,
        directory: Directory,
        pipe: PipeReader,
        input: PipeWriter,
        _folder: tempfile::TempDir,
    }

    fn both(head_bytes: u64, tail_bytes: u64) -> Both {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let reader = OutputReader::open(Directory::open(folder.path()).unwrap()).unwrap();
        let (pipe, input) = nonblocking_pipe().unwrap();
        let null = open_null().unwrap();
        let writer = OutputWriter::new(null, head_bytes, tail_bytes);
        Both { writer, reader, directory, pipe, input, _folder: folder }
    }

    impl Both {
        fn write(&mut self, bytes: &[u8]) {
            for piece in bytes.chunks(4096) {
                self.input.write(piece).unwrap();
                while self.writer.drain(&self.pipe, &self.directory) == Drained::Data {}
            }
        }

        fn read_all(&mut self, mut from: u64) -> Vec<OutputChunk> {
            let mut chunks: Vec<OutputChunk> = Vec::new();
            loop {
                let chunk = self.reader.read(from, 1000).unwrap();
                if chunk.bytes.is_empty() {
                    return chunks;
                }
                from = chunk.end();
                chunks.push(chunk);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn bytes_read_equal_bytes_written(
            head in 0u64..3_000,
            tail in 1u64..9_000,
            pieces in prop::collection::vec(1usize..5_000, 0..12),
            from in 0u64..30_000,
            finished: bool,
        ) {
            let mut both = both(head, tail);
            let mut written = Vec::new();
            for size in pieces {
                let piece: Vec<u8> = (0..size).map(|index| ((written.len() + index) % 251) as u8).collect();
                both.write(&piece);
                written.extend_from_slice(&piece);
            }
            let total = written.len() as u64;
            prop_assert_eq!(both.writer.total_bytes(), total);
            prop_assert_eq!(both.writer.dropped_bytes(), 0);
            if finished {
                both.writer.finish();
                let kept = both.reader.kept_bytes().unwrap();
                let tail_share = (total.saturating_sub(head)).min(tail);
                prop_assert_eq!(kept, total.min(head) + tail_share);
            }
            prop_assert_eq!(both.reader.end().unwrap(), total);
            let mut last = from;
            for chunk in both.read_all(from) {
                prop_assert!(chunk.offset >= last);
                let start = chunk.offset as usize;
                prop_assert_eq!(&chunk.bytes[..], &written[start..start + chunk.bytes.len()]);
                last = chunk.end();
            }
            if finished && from < total {
                prop_assert_eq!(last, total);
            }
        }
    }

    #[test]
    fn last_write_is_the_time_of_the_newest_output() {
        let mut both = both(10, 5_000);
        assert_eq!(both.reader.last_write().unwrap(), None);
        let mut last = SystemTime::UNIX_EPOCH;
        for size in [5, 5_000] {
            both.write(&vec![b'x'; size]);
            let now = both.reader.last_write().unwrap().unwrap();
            assert!(now >= last && now <= SystemTime::now(), "{now:?}");
            last = now;
        }
    }

    #[test]
    fn closed_pipe_is_detected_at_any_output_size() {
        for size in [0, 10, 5_000] {
            let mut both = both(100, 1_000);
            both.write(&vec![b'x'; size]);
            let (_, other) = nonblocking_pipe().unwrap();
            drop(std::mem::replace(&mut both.input, other));
            // A child that another test has just forked keeps a copy of the write end until exec.
            let give_up_at = Instant::now() + Duration::from_secs(60);
            while both.writer.drain(&both.pipe, &both.directory) != Drained::Closed {
                assert!(Instant::now() < give_up_at, "not detected after {size} bytes");
            }
        }
    }

    #[test]
    fn a_small_ring_can_be_read_while_it_is_written() {
        let mut both = both(0, 4096);
        both.write(&[b'x'; 10_000]);
        let chunk = both.reader.read(0, 1 << 20).unwrap();
        assert_eq!((chunk.offset, chunk.bytes.len()), (10_000 - 3 * 1024, 3 * 1024));
    }

    #[test]
    fn unread_bytes_are_not_overwritten_and_the_rest_of_a_full_pipe_fits() {
        for (head, tail) in [(0, MIN_ATTACHED_RING_BYTES), (1_000, 8 << 20), (0, 4 << 20), (10, 4096)] {
            let mut both = both(head, tail);
            both.writer.protect_from(Some(0));
            let (mut sent, mut seen) = (0u64, Vec::new());
            let byte = |offset: u64| (offset % 251) as u8;
            // The reader reads one piece whenever the pipe is full and the writer waits.
            while seen.len() < 3 << 20 {
                let piece: Vec<u8> = (sent..sent + 4096).map(byte).collect();
                let drained = both.writer.drain(&both.pipe, &both.directory);
                match (both.input.write(&piece), drained) {
                    (Ok(written), _) => sent += written as u64,
                    (Err(_), Drained::Full) => {
                        let chunk = both.reader.read(seen.len() as u64, 100_000).unwrap();
                        assert_eq!(chunk.offset, seen.len() as u64, "{head} {tail}");
                        assert!(!chunk.bytes.is_empty());
                        seen.extend_from_slice(&chunk.bytes);
                        both.writer.protect_from(Some(seen.len() as u64));
                    }
                    (Err(_), _) => {}
                }
            }
            // The job ends: what is left in the pipe is stored, although the reader is behind.
            both.writer.protect_from(None);
            while both.writer.drain(&both.pipe, &both.directory) == Drained::Data {}
            if tail >= MIN_ATTACHED_RING_BYTES {
                for chunk in both.read_all(seen.len() as u64) {
                    assert_eq!(chunk.offset, seen.len() as u64, "{head} {tail}");
                    seen.extend_from_slice(&chunk.bytes);
                }
                assert_eq!(seen.len() as u64, sent);
            }
            assert!(seen.iter().enumerate().all(|(offset, found)| *found == byte(offset as u64)));
        }
    }

    #[test]
    fn reader_that_keeps_up_gets_every_byte() {
        let mut both = both(1_000, 1 << 20);
        let mut seen = Vec::new();
        for round in 0..200u32 {
            let piece = [round as u8; 3_000];
            both.write(&piece);
            for chunk in both.read_all(seen.len() as u64) {
                assert_eq!(chunk.offset, seen.len() as u64);
                seen.extend_from_slice(&chunk.bytes);
            }
        }
        assert_eq!(seen.len(), 600_000);
        assert!(seen.chunks(3_000).enumerate().all(|(round, piece)| piece.iter().all(|&b| b == round as u8)));
    }
}
