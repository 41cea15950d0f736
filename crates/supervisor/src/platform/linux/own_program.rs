//! The program that this process runs.

use std::path::PathBuf;

/// Returns the path of the program that this process runs. It stays the same program even if the file is replaced
/// (proc_pid_exe(5)).
pub fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}
