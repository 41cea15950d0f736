//! Reads the input of a hook: at most as much as a harness sends.

use std::io::{self, Read};

use homing::harness::{HookInput, HookProtocol};

/// Longest input, in bytes. It may contain the last message of the user or the agent.
const MAX_BYTES: u64 = 16 << 20;

/// Reads and parses the input.
///
/// # Errors
/// A message for people, when the input is not readable or lacks a session id or an event.
pub(crate) fn read_input(protocol: &HookProtocol, from: impl Read) -> Result<HookInput, String> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error: io::Error| format!("cannot read standard input: {error}"))?;
    protocol.parse(&bytes).map_err(|error| error.to_string())
}
