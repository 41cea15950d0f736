//! The command line of homing: parses arguments, calls the library and renders the answers. Contains no policy.

mod cli;
mod commands;
mod complete;
mod exit;
mod hooks;
mod interrupt;
mod local_time;
#[cfg(feature = "mcp")]
mod mcp;
mod open;
mod render;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "mcp")]
mod server;
mod service;
mod setup;
#[cfg(feature = "top")]
mod top;
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Supervisors run this program too, and must not parse its arguments.
    homing::supervise_if_asked();
    if cli::launches_a_job(std::env::args_os()) {
        // Before anything else uses memory, which the supervisor would keep.
        homing::prefork_supervisor();
    }
    run()
}

/// Runs the command. Not inlined, because its stack would become memory of each supervisor.
#[inline(never)]
fn run() -> ExitCode {
    cli::complete_if_asked();
    let (wants_json, result) = match cli::parse(std::env::args_os().collect()) {
        Ok(command) => (command.wants_json(), command.run()),
        Err(unparsed) => (unparsed.wants_json(), unparsed.answer()),
    };
    result.unwrap_or_else(|failure| render::report(&failure, wants_json))
}
