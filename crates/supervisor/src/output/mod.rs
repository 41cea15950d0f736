//! A job's output on disk, bounded for any flood: the first bytes in `output.log`, the last bytes in the ring
//! `output.tail`. Every byte the job wrote has an absolute offset, counted from 0, whether it was kept or not.

mod reader;
mod ring;
mod writer;

pub use reader::{OutputChunk, OutputReader};
pub use writer::{Drained, OutputWriter};
