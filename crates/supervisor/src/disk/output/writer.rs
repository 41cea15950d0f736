//! Moves the output of a job from its pipe to the bounded files. A full disk never blocks the job: the pipe is still
//! drained, and the bytes that could not be stored are counted.

use std::fs::File;
use std::io;

use super::ring::{MAX_PIECE, RING_START, RingHeader, piece_of};
use crate::disk::directory::Directory;
use crate::names::{OUTPUT_HEAD, OUTPUT_TAIL};
use crate::platform::errors::{disk_full, would_block};
use crate::platform::file::reserve;
use crate::platform::pipe::{DEFAULT_CAPACITY, MAX_CAPACITY, PipeContent, PipeReader};

/// Minimum size of a ring, in bytes.
const MIN_RING_BYTES: u64 = 64 << 10;

/// The most pipes that a job writes to: its standard output and its standard error.
const MAX_PIPES: u64 = 2;

/// Minimum size of a ring that has an attached reader, in bytes: the reader needs room besides the content of the pipes.
pub const MIN_ATTACHED_RING_BYTES: u64 = 512 << 10;

/// Minimum size of a ring with an attached reader whose pipes are enlarged, in bytes. In a smaller ring, the content of
/// enlarged pipes would leave the reader no room.
const MIN_RING_FOR_LARGE_PIPES: u64 = 2 * MAX_PIPES * MAX_CAPACITY as u64;

/// The result of one read from the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Some bytes were read.
    Data,
    /// The pipe is empty.
    Empty,
    /// The next piece would overwrite bytes that the attached reader has not read.
    Full,
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
    /// The first byte that the attached reader has not read; `None` without one.
    unread_from: Option<u64>,
    /// The capacity of each pipe, in bytes.
    pipe_capacity: u64,
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
        OutputWriter {
            null,
            head,
            tail_bytes,
            tail: None,
            total: 0,
            dropped: 0,
            unread_from: None,
            pipe_capacity: DEFAULT_CAPACITY as u64,
        }
    }

    /// Returns the number of bytes read from the pipe so far.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Returns the number of bytes that could not be stored so far.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped
    }

    /// Protects the bytes from this offset on, because an attached reader has not read them: [`OutputWriter::drain`]
    /// returns [`Drained::Full`] instead of overwriting them. `None` ends the protection. While it lasts, the ring keeps
    /// room for the content of two full pipes, so that what a job has left there can be stored when it ends.
    pub fn protect_from(&mut self, unread_from: Option<u64>) {
        self.unread_from = unread_from;
    }

    /// Reads one piece from the pipe and stores it. The pipe must be non-blocking.
    pub fn drain(&mut self, pipe: &PipeReader, directory: &Directory) -> Drained {
        let stored = match self.store_in_head(pipe, directory) {
            Some(result) => result,
            None if self.room() == 0 => {
                return match pipe.content() {
                    PipeContent::Bytes => Drained::Full,
                    PipeContent::Nothing => Drained::Empty,
                    PipeContent::Ended => Drained::Closed,
                };
            }
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

    /// Returns how many bytes the ring can store now.
    fn room(&self) -> u64 {
        match (&self.tail, self.unread_from) {
            (Some(tail), Some(unread_from)) => tail.room(unread_from, MAX_PIPES * self.pipe_capacity),
            (None, _) | (_, None) => u64::MAX,
        }
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
            if self.unread_from.is_none() || self.tail_bytes >= MIN_RING_FOR_LARGE_PIPES {
                self.pipe_capacity = MAX_CAPACITY as u64;
                let _ = pipe.set_capacity(MAX_CAPACITY);
            }
        }
        let room = self.room();
        match &mut self.tail {
            Some(tail) => {
                let count = tail.store(pipe, room)?;
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
                        reserved: offset + piece_of(capacity),
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

    /// Returns how many bytes can be stored such that no byte from `unread_from` on is overwritten, also not by `margin`
    /// further bytes. In a ring that is too small for the margin, at least one piece.
    fn room(&self, unread_from: u64, margin: u64) -> u64 {
        let RingHeader { capacity, valid_from, committed, .. } = self.header;
        let piece = piece_of(capacity);
        let usable = capacity.saturating_sub(piece + margin).max(piece);
        (unread_from.max(valid_from) + usable).saturating_sub(committed)
    }

    /// Moves a piece into the ring, at most `room` bytes.
    fn store(&mut self, pipe: &PipeReader, room: u64) -> io::Result<u64> {
        let (position, until_wrap) = self.header.place(self.header.committed);
        let announced = self.header.reserved - self.header.committed;
        move_bytes(pipe, &self.file, position, until_wrap.min(announced).min(room))
    }

    /// Shows a stored piece to readers.
    fn commit(&mut self, count: u64) -> io::Result<()> {
        self.header.committed += count;
        self.header.reserved = self.header.committed + piece_of(self.header.capacity);
        self.header.write(&self.file)
    }

    /// Continues at a later offset. The bytes between are lost.
    fn skip_to(&mut self, offset: u64) {
        self.header.valid_from = offset;
        self.header.committed = offset;
        self.header.reserved = offset + piece_of(self.header.capacity);
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
