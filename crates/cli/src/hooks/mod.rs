//! What hooks of all harnesses share: reading the input, searching the transcript, ending with the reader. The protocols
//! are in `homing::harness`. Does not access jobs.

mod disconnect;
mod input;
mod seen;

pub(crate) use disconnect::end_when_nobody_listens;
pub(crate) use input::read_input;
pub(crate) use seen::is_shown;
