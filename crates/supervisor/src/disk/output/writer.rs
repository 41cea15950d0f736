//! Moves the output of a job from its pipe to the bounded files. A full disk never blocks the job: the pipe is still
//! drained, and the bytes that could not be stored are counted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};

use super::ring::{MAX_PIECE, RING_START, RingHeader};
use crate::disk::directory::Directory;
use crate::names::{OUTPUT_HEAD, OUTPUT_TAIL};

/// Minimum size of a ring, in bytes.
const MIN_RING_BYTES: u64 = 64 << 10;

/// Pipe size for jobs with much output: the limit for ordinary users (`fs.pipe-max-size`, pipe(7)).
const FLOOD_PIPE_BYTES: usize = 1 << 20;

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
    null: OwnedFd,
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
        file: OwnedFd,
        length: u64,
        limit: u64,
    },
    /// The file or the disk is full. Further output goes to the ring.
    Closed,
}

/// The ring with the last bytes.
#[derive(Debug)]
struct Tail {
    file: OwnedFd,
    header: RingHeader,
}

impl OutputWriter {
    /// Creates a writer that keeps `head_bytes` of the beginning and `tail_bytes` of the end. `null` is `/dev/null`,
    /// open for writing; it receives the bytes that cannot be stored.
    pub fn new(null: OwnedFd, head_bytes: u64, tail_bytes: u64) -> OutputWriter {
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
    pub fn drain(&mut self, pipe: BorrowedFd<'_>, directory: &Directory) -> Drained {
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
            Err(Errno::AGAIN) => Drained::Empty,
            Err(_) => self.drop_piece(pipe),
        }
    }

    /// Stores a piece in the head; `None` if the head is closed.
    fn store_in_head(&mut self, pipe: BorrowedFd<'_>, directory: &Directory) -> Option<Result<u64, Errno>> {
        if let Head::NotCreated { limit } = self.head {
            self.head = match directory.create(OUTPUT_HEAD) {
                Ok(file) => Head::Open { file, length: 0, limit },
                Err(_) => Head::Closed,
            };
        }
        let Head::Open { file, length, limit } = &mut self.head else { return None };
        let stored = move_bytes(pipe, file.as_fd(), *length, *limit - *length);
        match stored {
            Ok(count) => *length += count,
            Err(Errno::AGAIN) => {}
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

    fn store_in_tail(&mut self, pipe: BorrowedFd<'_>, directory: &Directory) -> Result<u64, Errno> {
        if self.tail.is_none() {
            // A job whose output exactly fills the head does not need a ring.
            match readiness(pipe) {
                Drained::Data => {}
                Drained::Empty => return Err(Errno::AGAIN),
                Drained::Closed => return Ok(0),
            }
            self.tail = Tail::create(directory, self.tail_bytes, self.total);
            // This job writes much: a larger pipe means fewer context switches.
            let _ = fcntl_setpipe_size(pipe, FLOOD_PIPE_BYTES);
        }
        match &mut self.tail {
            Some(tail) => tail.store(pipe),
            None => Err(Errno::NOSPC),
        }
    }

    /// Reads a piece from the pipe and discards it.
    fn drop_piece(&mut self, pipe: BorrowedFd<'_>) -> Drained {
        let flags = SpliceFlags::NONBLOCK;
        match splice(pipe, None, &self.null, None, MAX_PIECE as usize, flags) {
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
    pub fn leave_out(&mut self, bytes: u64) {
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
            match fallocate(&file, FallocateFlags::empty(), 0, RING_START + capacity) {
                // A file system without fallocate(2) allocates on write.
                Ok(()) | Err(Errno::OPNOTSUPP) => {
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
        let _ = ftruncate(&file, 0);
        None
    }

    fn store(&mut self, pipe: BorrowedFd<'_>) -> Result<u64, Errno> {
        let header = &mut self.header;
        let (position, until_wrap) = header.place(header.committed);
        let announced = header.reserved - header.committed;
        let count = move_bytes(pipe, self.file.as_fd(), position, until_wrap.min(announced))?;
        if count > 0 {
            header.committed += count;
            header.reserved = header.committed + MAX_PIECE.min(header.capacity);
            header.write(&self.file)?;
        }
        Ok(count)
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
            let _ = ftruncate(&self.file, RING_START + written);
        }
    }
}

/// Moves at most `limit` bytes from the pipe to `position` in a file, without blocking, and inside the kernel if
/// possible. 0 means that the pipe is closed.
fn move_bytes(pipe: BorrowedFd<'_>, file: BorrowedFd<'_>, position: u64, limit: u64) -> Result<u64, Errno> {
    let limit = usize::try_from(limit.min(MAX_PIECE)).unwrap_or(usize::MAX);
    let mut offset = position;
    loop {
        match splice(pipe, None, file, Some(&mut offset), limit, SpliceFlags::NONBLOCK) {
            Ok(count) => return Ok(count as u64),
            Err(Errno::INTR) => {}
            // A file system without splice(2).
            Err(Errno::INVAL | Errno::NOSYS) => return copy_bytes(pipe, file, position, limit),
            Err(error) => return Err(error),
        }
    }
}

fn copy_bytes(pipe: BorrowedFd<'_>, file: BorrowedFd<'_>, position: u64, limit: usize) -> Result<u64, Errno> {
    let mut buffer = [0; 16 << 10];
    let limit = limit.min(buffer.len());
    let count = rustix::io::read(pipe, &mut buffer[..limit])?;
    let mut written = 0;
    while written < count {
        written += rustix::io::pwrite(file, &buffer[written..count], position + written as u64)?;
    }
    Ok(count as u64)
}

/// Checks the state of the pipe without reading from it.
fn readiness(pipe: BorrowedFd<'_>) -> Drained {
    let mut polled = [PollFd::from_borrowed_fd(pipe, PollFlags::IN)];
    match poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) if polled[0].revents().contains(PollFlags::IN) => Drained::Data,
        Ok(_) if polled[0].revents().contains(PollFlags::HUP) => Drained::Closed,
        Ok(_) | Err(_) => Drained::Empty,
    }
}
