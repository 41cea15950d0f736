//! Finds the helper program that the jobs of portable tests run.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

/// Returns the path of `testkit-tool`, which cargo builds with all tests. It stands in the folder of the programs, which
/// contains the folder of the test programs.
///
/// # Panics
/// If it has not been built.
pub fn tool() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test program");
    let programs = test.ancestors().nth(2).expect("a folder of programs");
    let tool = programs.join(format!("testkit-tool{EXE_SUFFIX}"));
    assert!(tool.exists(), "build {} first: cargo build -p testkit --bin testkit-tool", tool.display());
    tool
}
