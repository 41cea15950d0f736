//! The command line of homing: parses, calls the library, renders. It holds no policy of its own.

mod cli;
mod commands;
mod exit;
mod hooks;
mod interrupt;
#[cfg(feature = "mcp")]
mod mcp;
mod render;
mod service;
mod setup;
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A supervisor is this program started anew: it must not even parse arguments.
    homing::supervise_if_asked();
    let (wants_json, done) = match cli::parse(std::env::args_os().collect()) {
        Ok(command) => (command.wants_json(), command.run()),
        Err(unparsed) => (unparsed.wants_json(), unparsed.answer()),
    };
    done.unwrap_or_else(|failure| exit::report(&failure, wants_json))
}
