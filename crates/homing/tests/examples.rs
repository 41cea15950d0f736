//! Runs the short examples of the library.

use std::path::PathBuf;
use std::process::Output;

use testkit::TempHome;

/// Cargo builds the examples for `cargo test`, beside this test.
fn run(home: &TempHome, example: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().expect("a test has a file");
    let program: PathBuf = test.ancestors().nth(2).expect("target/debug/deps").join("examples").join(example);
    assert!(program.is_file(), "build it first: cargo build -p homing --examples --all-features");
    let mut command = home.command(program.to_str().expect("text"));
    let command =
        command.args(arguments).env("XDG_CONFIG_HOME", home.scratch()).env_remove("HOMING_SUPERVISOR");
    command.output().expect("the example runs")
}

#[test]
fn a_job_handle_streams_the_output_and_returns_the_outcome() {
    let home = TempHome::new();
    let run = run(&home, "job_handle", &["echo one; echo two; exit 3"]);
    let text = String::from_utf8(run.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert!(run.status.success() && lines[0].starts_with("job "), "{text}");
    assert_eq!(lines[1..], ["| one", "| two", "exit code 3"]);
}

#[cfg(feature = "async")]
#[test]
fn a_host_on_tokio_receives_the_wake_of_its_job() {
    let home = TempHome::new();
    let path = home.path();
    let run = run(&home, "async_host", &[path.to_str().expect("text"), "echo built"]);
    let text = String::from_utf8(run.stdout).expect("text");
    assert!(run.status.success(), "{text}");
    assert!(text.contains("chat-1 is resumed with:") && text.contains("built"), "{text}");
}
