//! The examples in `examples/` work.

use std::path::Path;
use std::process::Command;

use crate::setup::{Setup, answer};

#[test]
fn the_command_sink_example_delivers_the_result() {
    let setup = Setup::new();
    let program = Path::new(env!("CARGO_BIN_EXE_homing"));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/command_sink/run.sh");
    let bin = program.parent().expect("a parent directory").display();
    let path = std::env::var("PATH").expect("PATH is set");
    let mut command = Command::new("sh");
    command
        .arg(example)
        .env("PATH", format!("{bin}:{path}"))
        // Its home is in the directory of the test, so that surviving processes are found.
        .env("TMPDIR", setup.home.scratch());
    let answer = answer(command);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
    let (_, text) =
        answer.stdout.split_once("the text for the agent of chat-1\n").expect("the wake is printed");
    assert!(text.contains("failed: exit code 3") && text.contains("built"), "{text}");
    let left: Vec<_> = std::fs::read_dir(setup.home.scratch()).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_command_sink_example_ignores_repeated_wakes() {
    let setup = Setup::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/command_sink/wake.sh");
    let wake = |session: &str| {
        let mut command = Command::new("sh");
        command.arg(&script).arg(setup.home.scratch()).stdin(std::process::Stdio::null());
        command.env("HOMING_SESSION", session).env("HOMING_WAKE", "w_1");
        answer(command).status
    };
    assert_eq!((wake("chat-1"), wake("chat-1")), (Some(0), Some(0)));
    let kept = std::fs::read_dir(setup.home.scratch().join("chat-1")).expect("a directory");
    assert_eq!(kept.map(|file| file.expect("a file").file_name()).collect::<Vec<_>>(), ["w_1.txt"]);
    setup.file("chat-1/busy", "");
    assert_eq!(wake("chat-1"), Some(75));
    assert_eq!(wake("../chat-1"), Some(69));
}
