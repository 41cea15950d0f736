//! The layout of `output.tail`: a header that states which bytes are present, then a ring buffer.

use std::fs::File;
use std::io;

use crate::platform::file::{read_at, write_at};

/// File offset of the ring buffer.
pub(super) const RING_START: u64 = 4096;

/// Maximum size of one write to a ring of any size, in bytes.
pub(super) const MAX_PIECE: u64 = 256 << 10;

/// Maximum size of one write to a ring of this capacity, in bytes. The header reserves this much in advance, so one
/// header write after each piece of data is enough. Readers cannot read what is reserved, so it is a small part of the
/// ring.
pub(super) fn piece_of(capacity: u64) -> u64 {
    MAX_PIECE.min((capacity / 4).max(1))
}

const MAGIC: u64 = u64::from_le_bytes(*b"HMTAIL01");
const HEADER_BYTES: usize = 6 * 8;

/// The bytes of output that the ring contains. All offsets are absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingHeader {
    /// Size of the ring in bytes.
    pub(super) capacity: u64,
    /// The output offset of the first byte of the ring.
    pub(super) origin: u64,
    /// The ring does not contain bytes before this offset.
    pub(super) valid_from: u64,
    /// The ring contains the bytes before this offset, up to its capacity.
    pub(super) committed: u64,
    /// A write up to this offset may be in progress. It overwrites the bytes one capacity earlier.
    pub(super) reserved: u64,
}

impl RingHeader {
    /// Returns the first offset that is safe to read.
    pub(super) fn readable_from(&self) -> u64 {
        self.valid_from.max(self.reserved.saturating_sub(self.capacity)).min(self.committed)
    }

    /// Returns the file offset of an output offset, and the number of bytes until the ring wraps.
    pub(super) fn place(&self, offset: u64) -> (u64, u64) {
        let position = (offset - self.origin) % self.capacity;
        (RING_START + position, self.capacity - position)
    }

    /// Writes the header. A reader detects a torn header by its checksum.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let words = [MAGIC, self.capacity, self.origin, self.valid_from, self.committed, self.reserved];
        let mut bytes = [0; HEADER_BYTES + 4];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes[..HEADER_BYTES]);
        bytes[HEADER_BYTES..].copy_from_slice(&sum.to_le_bytes());
        write_at(file, &bytes, 0)
    }

    /// Reads the header; `None` if it is not intact.
    pub(super) fn read(file: &File) -> io::Result<Option<RingHeader>> {
        let mut bytes = [0; HEADER_BYTES + 4];
        if read_at(file, &mut bytes, 0)? != bytes.len() {
            return Ok(None);
        }
        let mut sum = [0; 4];
        sum.copy_from_slice(&bytes[HEADER_BYTES..]);
        if crc32fast::hash(&bytes[..HEADER_BYTES]) != u32::from_le_bytes(sum) {
            return Ok(None);
        }
        let mut words = bytes[..HEADER_BYTES].chunks_exact(8).map(|word| {
            let mut buffer = [0; 8];
            buffer.copy_from_slice(word);
            u64::from_le_bytes(buffer)
        });
        let mut next = || words.next().unwrap_or(0);
        if next() != MAGIC {
            return Ok(None);
        }
        let header = RingHeader {
            capacity: next(),
            origin: next(),
            valid_from: next(),
            committed: next(),
            reserved: next(),
        };
        let ordered = header.capacity > 0
            && header.origin <= header.valid_from
            && header.valid_from <= header.committed
            && header.committed <= header.reserved;
        Ok(ordered.then_some(header))
    }
}
