//! The text that people and agents read: output made readable, and the result of a job.

mod clean;
mod result;
mod stream;
mod wake;

pub use clean::{Cleaner, clean};
pub use result::{OutputExcerpt, RESULT_LIMIT_CHARS, grouped, omission, result_text};
pub use stream::TextStream;
pub use wake::{WAKE_LIMIT_JOBS, WakeFormat, WakeTextOptions, failures_first, wake_text};
