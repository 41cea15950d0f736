//! Text for people and agents: cleaned output, frames around untrusted text, results of jobs, and wakes.

mod clean;
mod frame;
mod result;
mod stream;
mod wake;

pub use crate::one_line::{flatten, is_line_break, one_line};
pub use clean::{Cleaner, clean};
pub use frame::{FRAME_CHARS, FrameNonce, NonceInText, UNTRUSTED, frame};
pub use result::{
    LEAST_RESULT_CHARS, OutputExcerpt, RESULT_LIMIT_CHARS, ShownOutput, grouped, leftovers_text, omission,
    result_text, shown_output,
};
pub use stream::TextStream;
pub use wake::{WAKE_LIMIT_JOBS, WakeFormat, WakeTextOptions, failures_first, wake_text};
