//! The program that this process runs.

use std::path::PathBuf;

/// Returns the path of the program that this process runs. If its file was replaced meanwhile, this is the new program.
pub fn this_program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("homing"))
}
