//! What homing refuses, with a hint and with nothing half-done.

use std::path::{Path, PathBuf};

use homing_supervisor::platform::paths::LONGEST_HOME;
use serde_json::Value;

use crate::setup::{Answer, Setup, answer};

/// A path below the folder of the test whose resolved form has this many bytes.
fn path_of(setup: &Setup, bytes: usize) -> PathBuf {
    let mut path = setup.home.scratch().canonicalize().expect("it exists");
    let mut left = bytes - path.as_os_str().len();
    while left > 0 {
        // Not one byte alone at the end, which would have no place for a separator.
        let length = if left > 201 { 200.min(left - 2) } else { left };
        path.push("x".repeat(length - 1));
        left -= length;
    }
    assert_eq!(path.as_os_str().len(), bytes, "{}", path.display());
    path
}

fn run_in(setup: &Setup, home: &Path, arguments: &[&str]) -> Answer {
    let mut command = setup.command(arguments);
    answer(&command.env("HOMING_HOME", home).output().expect("the program runs"))
}

#[test]
fn the_longest_home_runs_scripts_and_a_longer_one_is_refused() {
    let setup = Setup::new();
    let (longest, program) = LONGEST_HOME;
    let home = path_of(&setup, longest);
    // Twice: the second time, the home exists.
    for _ in 0..2 {
        let ran = run_in(&setup, &home, &["run", "--wait", "exit 9"]);
        assert_eq!(ran.status, Some(9), "{ran:?}");
    }
    let too_long = path_of(&setup, longest + 1);
    let refused = run_in(&setup, &too_long, &setup.run_words(&[], &["touch", &setup.path("ran")]));
    assert_eq!((refused.status, refused.text()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains(program) && refused.stderr.contains("hint: "), "{refused:?}");
    assert!(!too_long.exists() && !setup.file("ran").exists());
}

#[test]
fn a_file_is_not_a_home() {
    let setup = Setup::new();
    setup.create("file");
    let refused = run_in(&setup, &setup.file("file"), &["run", "--json", "exit 0"]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.json()["error"]["message"].is_string());
}

/// The document of a refused launch.
fn refused(setup: &Setup, options: &[&str]) -> Value {
    let answer =
        setup.run(&setup.run_words(&[options, &["--json"]].concat(), &["touch", &setup.path("ran")]));
    assert!(answer.status == Some(2) || answer.status == Some(1), "{options:?}: {answer:?}");
    assert!(!setup.file("ran").exists() && setup.jobs().is_empty(), "{options:?}");
    answer.json()
}

#[test]
fn a_directory_that_is_none_starts_nothing() {
    let setup = Setup::new();
    setup.create("file");
    let long = "x".repeat(300);
    let mut names = vec![setup.path("file"), setup.path("missing"), setup.path(&long)];
    if cfg!(windows) {
        // Names of devices, and a server that does not exist.
        names.extend(["NUL", "CON", "COM1", r"\\.\NUL", r"\\?\", r"C:\NUL\x", "x:y:z"].map(str::to_owned));
    }
    for name in names {
        let document = refused(&setup, &["--cwd", &name]);
        assert_eq!(document["error"]["code"], "invalid_directory", "{name}: {document:#}");
    }
}

#[cfg(windows)]
#[test]
fn names_that_are_reserved_for_devices_are_names_of_jobs() {
    let setup = Setup::new();
    for name in ["nul", "con", "com1", "aux.txt"] {
        let job = setup.finished(&["--name", name, "--session", name, "--key", name], &["print", name]);
        let found = setup.json(&["show", name, "--session", name]);
        assert_eq!(found["id"], job["id"]);
        assert_eq!(setup.text(job["id"].as_str().expect("an id")), format!("{name}\n"));
    }
}

#[cfg(windows)]
#[test]
fn what_is_not_a_program_does_not_start() {
    let setup = Setup::new();
    for name in ["NUL", "con", r"\\.\NUL", "no-such-program", r"C:\Windows"] {
        let launched = setup.run(&["run", "--wait", "--", name, "x"]);
        assert_eq!(launched.status, Some(125), "{name}: {launched:?}");
    }
    let script = setup.path("script.py");
    std::fs::write(&script, "print(1)\n").expect("a file");
    let launched = setup.run(&["run", "--wait", "--", &script, "x"]);
    assert_eq!(launched.status, Some(125), "{launched:?}");
    assert!(launched.stderr.contains(&format!("{script} is not a program")), "{launched:?}");
}

#[cfg(windows)]
#[test]
fn a_verbatim_path_means_the_same_as_a_plain_one() {
    let setup = Setup::new();
    let directory = setup.home.scratch().canonicalize().expect("it exists");
    let verbatim = directory.to_str().expect("text");
    assert!(verbatim.starts_with(r"\\?\"), "{verbatim}");
    let job = setup.finished(&["--cwd", verbatim], &["touch", "here"]);
    assert!(setup.file("here").exists(), "{job:#}");
    // A script and a home, too.
    let home = directory.join("verbatim home");
    let ran = run_in(&setup, &home, &["run", "--wait", "--cwd", verbatim, "exit 9"]);
    assert_eq!(ran.status, Some(9), "{ran:?}");
}

/// A text with half of a surrogate pair, which is not valid UTF-16.
#[cfg(windows)]
fn invalid() -> std::ffi::OsString {
    std::os::windows::ffi::OsStringExt::from_wide(&[u16::from(b'a'), 0xD800, u16::from(b'b')])
}

#[cfg(windows)]
#[test]
fn text_that_is_not_unicode_is_refused_or_passed_on() {
    let setup = Setup::new();
    let tool = setup.tool_words(&[])[0];
    let run = |change: &dyn Fn(&mut std::process::Command)| {
        let mut command = setup.command(&["run"]);
        change(&mut command);
        answer(&command.output().expect("the program runs"))
    };
    let argument = run(&|command| {
        command.args(["--", tool, "print"]).arg(invalid());
    });
    let directory = run(&|command| {
        command.arg("--cwd").arg(setup.home.scratch().join(invalid())).args(["--", tool, "print"]);
    });
    let home = run(&|command| {
        command.env("HOMING_HOME", setup.home.scratch().join(invalid())).args(["--", tool, "print"]);
    });
    for refused in [argument, directory, home] {
        assert!(matches!(refused.status, Some(1 | 2)) && refused.stdout.is_empty(), "{refused:?}");
        assert!(
            refused.stderr.starts_with("homing: error: ") || refused.stderr.starts_with("error: "),
            "{refused:?}"
        );
    }
    assert!(setup.jobs().is_empty());
    // Variables of other programs may have any value.
    let inherited = run(&|command| {
        command.env("OF_ANOTHER_PROGRAM", invalid()).args(["--", tool, "print", "ran"]);
    });
    assert_eq!(inherited.status, Some(0), "{inherited:?}");
    let id = inherited.text().trim_end();
    setup.end_of(id);
    assert_eq!(setup.text(id), "ran\n");
}
