//! Runs the program of a sink: its input, its bounded output, its exit, and the processes it leaves behind.

pub(crate) mod exit;
pub(crate) mod runner;
mod sink_process;
pub(crate) mod stale;
mod stdin_writer;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use stale::wait_for_stale_processes;
