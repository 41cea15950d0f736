//! Moves the output of a job from its pipe to the bounded files. A full disk never blocks the job: the pipe is still
//! drained, and the bytes that could not be stored are counted.

use std::fs::File;
use std::io;

use super::ring::{MAX_PIECE, RING_START, RingHeader};
use crate::disk::directory::Directory;
use crate::names::{OUTPUT_HEAD, OUTPUT_TAIL};
use crate::platform::errors::{disk_full, would_block};
use crate::platform::file::reserve;
use crate::platform::pipe::{MAX_CAPACITY, PipeContent, PipeReader};

/// Minimum size of a ring, in bytes.
const MIN_RING_BYTES: u64 = 64 << 10;

/// The result of one read from the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Some bytes were read.
    Data,
    /// The pipe is empty.
    Empty,
    /// All write ends are closed.
    Closed,
}

/// The writing side of a job's output.
#[derive(Debug)]
pub struct OutputWriter {
    null: File,
    head: Head,
    tail_bytes: u64,
    tail: Option<Tail>,
    total: u64,
    dropped: u64,
}

/// The file with the first bytes.
#[derive(Debug)]
enum Head {
    /// The file does not exist yet.
    NotCreated {
        limit: u64,
    },
    Open {
        file: File,
        length: u64,
        limit: u64,
    },
    /// The file or the disk is full. Further output goes to the ring.
    Closed,
}

/// The ring with the last bytes.
#[derive(Debug)]
struct Tail {
    file: File,
    header: RingHeader,
}

impl OutputWriter {
    /// Creates a writer that keeps `head_bytes` of the beginning and `tail_bytes` of the end. `null` is `/dev/null`,
    /// open for writing; it receives the bytes that cannot be stored.
    pub fn new(null: File, head_bytes: u64, tail_bytes: u64) -> OutputWriter {
        let head = if head_bytes == 0 { Head::Closed } else { Head::NotCreated { limit: head_bytes } };
        OutputWriter { null, head, tail_bytes, tail: None, total: 0, dropped: 0 }
    }

    /// Returns the number of bytes read from the pipe so far.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Returns the number of bytes that could not be stored so far.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped
    }

    /// Reads one piece from the pipe and stores it. The pipe must be non-blocking.
    pub fn drain(&mut self, pipe: &PipeReader, directory: &Directory) -> Drained {
        let stored = match self.store_in_head(pipe, directory) {
            Some(result) => result,
            None => self.store_in_tail(pipe, directory),
        };
        match stored {
            Ok(0) => Drained::Closed,
            Ok(count) => {
                self.total += count;
                Drained::Data
            }
            Err(error) if would_block(&error) => Drained::Empty,
            Err(_) => self.drop_piece(pipe),
        }
    }

    /// Stores a piece in the head; `None` if the head is closed.
    fn store_in_head(&mut self, pipe: &PipeReader, directory: &Directory) -> Option<io::Result<u64>> {
        if let Head::NotCreated { limit } = self.head {
            self.head = match directory.create(OUTPUT_HEAD) {
                Ok(file) => Head::Open { file, length: 0, limit },
                Err(_) => Head::Closed,
            };
        }
        let Head::Open { file, length, limit } = &mut self.head else { return None };
        let stored = move_bytes(pipe, file, *length, *limit - *length);
        match &stored {
            Ok(count) => *length += count,
            Err(error) if would_block(error) => {}
            Err(_) => {
                self.head = Head::Closed;
                return None;
            }
        }
        if length == limit {
            self.head = Head::Closed;
        }
        Some(stored)
    }

    fn store_in_tail(&mut self, pipe: &PipeReader, directory: &Directory) -> io::Result<u64> {
        if self.tail.is_none() {
            // A job whose output exactly fills the head does not need a ring.
            match pipe.content() {
                PipeContent::Bytes => {}
                PipeContent::Nothing => return Err(io::ErrorKind::WouldBlock.into()),
                PipeContent::Ended => return Ok(0),
            }
            self.tail = Tail::create(directory, self.tail_bytes, self.total);
            // This job writes much: a larger pipe means fewer context switches.
            let _ = pipe.set_capacity(MAX_CAPACITY);
        }
        match &mut self.tail {
            Some(tail) => {
                let count = tail.store(pipe)?;
                if count > 0 && tail.commit(count).is_err() {
                    // Readers do not know of the piece, so it is lost.
                    self.dropped += count;
                    tail.skip_to(self.total + count);
                }
                Ok(count)
            }
            None => Err(disk_full()),
        }
    }

    /// Reads a piece from the pipe and discards it.
    fn drop_piece(&mut self, pipe: &PipeReader) -> Drained {
        match pipe.discard(&self.null, MAX_PIECE as usize) {
            Ok(0) => Drained::Closed,
            Ok(count) => {
                self.total += count as u64;
                self.dropped += count as u64;
                if let Some(tail) = &mut self.tail {
                    tail.skip_to(self.total);
                }
                Drained::Data
            }
            Err(_) => Drained::Empty,
        }
    }

    /// Counts bytes that the source of the output omitted, as if they had been overwritten. Closes the head.
    pub fn skip(&mut self, bytes: u64) {
        self.total += bytes;
        self.head = Head::Closed;
        if let Some(tail) = &mut self.tail {
            tail.skip_to(self.total);
        }
    }

    /// Ends the output: marks in the header that no write is in progress, and frees the unused part of the ring.
    pub fn finish(&mut self) {
        if let Some(tail) = &mut self.tail {
            tail.finish();
        }
    }
}

impl Tail {
    /// Creates the ring and allocates all its blocks, so that later writes cannot fail on a full disk. Creates a
    /// smaller ring if the disk is nearly full; returns `None` if it is full.
    fn create(directory: &Directory, wanted: u64, offset: u64) -> Option<Tail> {
        let file = match directory.open_to_update(OUTPUT_TAIL) {
            Ok(Some(file)) => file,
            Ok(None) => directory.create(OUTPUT_TAIL).ok()?,
            Err(_) => return None,
        };
        let mut capacity = wanted;
        while capacity > 0 {
            match reserve(&file, RING_START + capacity) {
                Ok(()) => {
                    let header = RingHeader {
                        capacity,
                        origin: offset,
                        valid_from: offset,
                        committed: offset,
                        reserved: offset + MAX_PIECE.min(capacity),
                    };
                    header.write(&file).ok()?;
                    return Some(Tail { file, header });
                }
                Err(_) if capacity / 2 >= MIN_RING_BYTES => capacity /= 2,
                Err(_) => break,
            }
        }
        let _ = file.set_len(0);
        None
    }

    /// Moves a piece into the ring.
    fn store(&mut self, pipe: &PipeReader) -> io::Result<u64> {
        let (position, until_wrap) = self.header.place(self.header.committed);
        let announced = self.header.reserved - self.header.committed;
        move_bytes(pipe, &self.file, position, until_wrap.min(announced))
    }

    /// Shows a stored piece to readers.
    fn commit(&mut self, count: u64) -> io::Result<()> {
        self.header.committed += count;
        self.header.reserved = self.header.committed + MAX_PIECE.min(self.header.capacity);
        self.header.write(&self.file)
    }

    /// Continues at a later offset. The bytes between are lost.
    fn skip_to(&mut self, offset: u64) {
        self.header.valid_from = offset;
        self.header.committed = offset;
        self.header.reserved = offset + MAX_PIECE.min(self.header.capacity);
        let _ = self.header.write(&self.file);
    }

    fn finish(&mut self) {
        self.header.reserved = self.header.committed;
        let _ = self.header.write(&self.file);
        let written = self.header.committed - self.header.origin;
        if written < self.header.capacity {
            let _ = self.file.set_len(RING_START + written);
        }
    }
}

/// Moves at most `limit` bytes from the pipe to `position` in a file, without waiting. 0 means that the pipe is closed.
fn move_bytes(pipe: &PipeReader, file: &File, position: u64, limit: u64) -> io::Result<u64> {
    let limit = usize::try_from(limit.min(MAX_PIECE)).unwrap_or(usize::MAX);
    pipe.move_to_file(file, position, limit).map(|count| count as u64)
}
