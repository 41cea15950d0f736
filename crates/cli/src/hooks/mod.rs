//! The parts that hooks of all harnesses share: reads the input, searches the transcript, exits when the harness no longer
//! reads. `homing::harness` has the protocols. Does not access jobs.

mod disconnect;
mod input;
mod seen;

pub(crate) use disconnect::exit_on_disconnect;
pub(crate) use input::read_input;
pub(crate) use seen::is_seen;
