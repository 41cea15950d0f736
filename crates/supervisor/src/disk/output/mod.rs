//! The output of a job on disk, with bounded size: the first bytes in `output.log`, the last bytes in the ring buffer
//! `output.tail`. Every byte of output has an absolute offset, counted from 0, even if it was not kept.

mod reader;
mod ring;
mod writer;

pub use reader::{OutputChunk, OutputReader};
pub use writer::{Drained, MIN_ATTACHED_RING_BYTES, OutputWriter};
