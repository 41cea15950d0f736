//! Scripts: a file in UTF-8 that a shell runs, whose exit code is that of the script in every form.
//!
//! Bash on Windows is Git Bash, or the program that `HOMING_TEST_BASH` names: `scripts/test-windows` puts another bash there,
//! because Wine has no Git. Without one, the tests of bash are skipped.

#[cfg(windows)]
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::{Answer, Setup, answer};

/// The bash of the tests, if it is not the one that homing finds by itself.
const TEST_BASH: &str = "HOMING_TEST_BASH";

/// The environment variable with the path of the bash to use, on Windows.
const BASH: &str = "HOMING_BASH";

/// The program with these arguments, and the bash of the tests.
fn command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = setup.command(arguments);
    if let Some(bash) = std::env::var_os(TEST_BASH) {
        command.env(BASH, bash);
    }
    command
}

fn run(setup: &Setup, shell: &str, script: &str) -> Answer {
    let words = ["run", "--wait", "--shell", shell, script];
    answer(&command(setup, &words).output().expect("the program runs"))
}

/// Whether there is a bash. Says so if not.
fn has_bash(setup: &Setup) -> bool {
    let ran = run(setup, "bash", "exit 0");
    if ran.status != Some(0) {
        testkit::skip(&format!("bash does not run here: {}", ran.stderr.trim_end()));
    }
    ran.status == Some(0)
}

/// The helper program as a word of a script. Quoted and with slashes, a path means the same to every shell.
fn tool(setup: &Setup) -> String {
    format!("\"{}\"", setup.tool_words(&[])[0].replace('\\', "/"))
}

/// Runs each script, and compares its exit code.
fn assert_exit_codes(setup: &Setup, shell: &str, forms: &[(&str, i32)]) {
    for (form, code) in forms {
        let script = form.replace("TOOL", &tool(setup));
        let ran = run(setup, shell, &script);
        assert_eq!(ran.status, Some(*code), "{script}: {ran:?}");
    }
}

#[test]
fn bash_reports_the_exit_code_of_its_script_in_every_form() {
    let setup = Setup::new();
    if !has_bash(&setup) {
        return;
    }
    let forms = [
        ("exit 9", 9),
        ("(exit 9)", 9),
        ("(exit 9); true", 0),
        ("false", 1),
        ("exit 256", 0),
        ("TOOL exit 9", 9),
        ("TOOL exit 9\n", 9),
        ("TOOL exit 9; exit 4", 4),
        ("TOOL exit 9 || exit 5", 5),
        ("TOOL exit 9 | TOOL read-stdin", 0),
        ("set -o pipefail; TOOL exit 9 | TOOL read-stdin", 9),
        ("set -e\nTOOL exit 3\necho not reached", 3),
        ("trap 'echo bye' EXIT; exit 4", 4),
        ("trap 'exit 7' EXIT; exit 1", 7),
        ("TOOL exit 6 & wait $!", 6),
        ("no-such-program-of-homing", 127),
        ("f() { return 8; }\nf", 8),
        ("eval 'exit 9'", 9),
    ];
    // The bash of the tests under Wine (brush 0.4.0) loses the code of an `exit` in a trap and of a `wait`.
    let is_bash = std::env::var_os(TEST_BASH).is_none();
    let forms: Vec<_> = forms
        .into_iter()
        .filter(|(form, _)| is_bash || !(form.contains("'exit 7'") || form.contains("wait $!")))
        .collect();
    assert_exit_codes(&setup, "bash", &forms);
}

#[test]
fn bash_reads_a_file_in_utf_8() {
    let setup = Setup::new();
    if !has_bash(&setup) {
        return;
    }
    let ran = run(&setup, "bash", "echo 'grüße → 你好'; echo \"$0\"; echo aside >&2");
    let lines: Vec<&str> = ran.text().lines().collect();
    assert_eq!(lines[0], "grüße → 你好", "{ran:?}");
    assert!(lines[1].ends_with("command.sh") && lines[1].contains("/jobs/"), "{lines:?}");
    assert_eq!(lines[2], "aside");
    // Nearly as long as a command line of Windows may be.
    let long = format!("{}echo end", ": a line of a long script\n".repeat(1_100));
    assert_eq!(run(&setup, "bash", &long).text(), "end\n");
}

#[test]
fn bash_runs_a_script_in_a_path_with_blanks_and_other_characters() {
    let setup = Setup::new();
    if !has_bash(&setup) {
        return;
    }
    for name in ["two words", "a & b", "(round)", "semi;colon", "it's", "gr\u{fc}n", "$HOME", "a^b"] {
        let mut command = command(&setup, &["run", "--wait", "--shell", "bash", "echo ran; exit 9"]);
        let home = setup.file(name).join("home");
        let ran = answer(&command.env("HOMING_HOME", &home).output().expect("the program runs"));
        assert_eq!((ran.status, ran.text()), (Some(9), "ran\n"), "{name}: {ran:?}");
    }
}

#[test]
fn background_processes_of_a_bash_script_are_gone_with_their_job() {
    let setup = Setup::new();
    if !has_bash(&setup) {
        return;
    }
    let (tool, mark) = (tool(&setup), setup.home.mark());
    let script = format!("{tool} sleep {mark} & ( {tool} sleep {mark} & ) ; exit 5");
    let ran = run(&setup, "bash", &script);
    assert_eq!(ran.status, Some(5), "{ran:?}");
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn a_rerun_keeps_the_shell() {
    let setup = Setup::new();
    if !has_bash(&setup) {
        return;
    }
    let ran = run(&setup, "bash", "[ -n \"$BASH_VERSION$RANDOM\" ] && exit 9");
    assert_eq!(ran.status, Some(9), "{ran:?}");
    let again = answer(&command(&setup, &["rerun", "last"]).output().expect("the program runs"));
    assert_eq!(again.status, Some(0), "{again:?}");
    assert_eq!(crate::setup::code(&setup.end_of(again.text().trim_end())), 9);
}

#[cfg(windows)]
#[test]
fn cmd_reports_the_exit_code_of_its_script_in_every_form() {
    let setup = Setup::new();
    let forms = [
        ("exit 9", 9),
        ("exit /b 9", 9),
        ("@exit 9", 9),
        ("echo off\nexit 9", 9),
        ("TOOL exit 9", 9),
        ("TOOL exit 9\n", 9),
        ("call TOOL exit 9", 9),
        ("TOOL exit 9 & exit 4", 4),
        ("TOOL exit 9\nTOOL exit 0", 0),
        ("TOOL exit 9 || exit 5", 5),
        ("TOOL exit 0 && exit 6", 6),
        ("cmd /d /c exit 7", 7),
        ("TOOL exit 3\nif errorlevel 3 exit 8", 8),
        ("if 1==1 (\n  exit 9\n)", 9),
        ("goto end\nexit 1\n:end\nexit 9", 9),
        ("call :part\nexit %ERRORLEVEL%\n:part\nexit /b 9", 9),
    ];
    assert_exit_codes(&setup, "cmd", &forms);
}

#[cfg(windows)]
#[test]
fn cmd_runs_a_script_in_a_path_with_blanks_and_other_characters() {
    let setup = Setup::new();
    for name in ["two words", "a & b", "(round)", "semi;colon", "it's", "comma,", "a=b", "@at"] {
        let mut command = setup.command(&["run", "--wait", "--shell", "cmd", "echo ran& exit 9"]);
        let home = setup.file(name).join("home");
        let ran = answer(&command.env("HOMING_HOME", &home).output().expect("the program runs"));
        assert_eq!((ran.status, ran.text().trim_end()), (Some(9), "ran"), "{name}: {ran:?}");
    }
}

/// A folder with a copy of a program under this path.
#[cfg(windows)]
fn copied(setup: &Setup, program: &str, path: &str) -> PathBuf {
    let copy = setup.file(path);
    std::fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
    std::fs::copy(program, &copy).expect("a copy");
    copy
}

/// Whether Git is installed on this machine, which is found before anything in PATH.
#[cfg(windows)]
fn has_git() -> bool {
    ["HKLM", "HKCU"].iter().any(|root| {
        let key = format!(r"{root}\SOFTWARE\GitForWindows");
        let found = Command::new("reg").args(["query", &key]).output();
        found.is_ok_and(|output| output.status.success())
    })
}

/// What `homing run` without a named shell ran a script with, with these folders in PATH. The stand-in for bash fails with 111,
/// because the path of the script is not one of its actions.
#[cfg(windows)]
fn default_shell(setup: &Setup, path: &[&Path]) -> &'static str {
    let mut command = setup.command(&["run", "--wait", "exit 9"]);
    command.env("PATH", std::env::join_paths(path).expect("a path")).env_remove(BASH);
    match answer(&command.output().expect("the program runs")).status {
        Some(9) => "cmd",
        Some(111) => "bash",
        other => panic!("{other:?}"),
    }
}

#[cfg(windows)]
#[test]
fn git_bash_is_found_beside_git_and_another_bash_is_not_used() {
    let setup = Setup::new();
    if has_git() {
        return testkit::skip("Git is installed, so PATH is not searched");
    }
    let stand_in = setup.tool_words(&[])[0];
    // The bash of WSL is in a folder of PATH, too.
    let wsl = copied(&setup, stand_in, "wsl/bash.exe");
    assert_eq!(default_shell(&setup, &[wsl.parent().expect("a folder")]), "cmd");
    for (git, bash) in [
        ("one/cmd/git.exe", "one/bin/bash.exe"),
        ("two/bin/git.exe", "two/usr/bin/bash.exe"),
        ("three/mingw64/bin/git.exe", "three/bin/bash.exe"),
    ] {
        let git = copied(&setup, stand_in, git);
        let folder = git.parent().expect("a folder");
        assert_eq!(default_shell(&setup, &[folder]), "cmd", "{bash} does not exist yet");
        copied(&setup, stand_in, bash);
        assert_eq!(default_shell(&setup, &[wsl.parent().expect("a folder"), folder]), "bash", "{bash}");
    }
}

#[cfg(windows)]
#[test]
fn the_variable_names_the_bash_and_a_wrong_one_is_reported() {
    let setup = Setup::new();
    let bash = copied(&setup, setup.tool_words(&[])[0], "my bash/bash.exe");
    let named = |path: &Path, words: &[&str]| {
        let mut command = setup.command(words);
        answer(&command.env(BASH, path).output().expect("the program runs"))
    };
    assert_eq!(named(&bash, &["run", "--wait", "exit 9"]).status, Some(111));
    let missing = setup.file("missing.exe");
    let refused = named(&missing, &["run", "--shell", "bash", "exit 9"]);
    assert_ne!(refused.status, Some(0), "{refused:?}");
    assert!(refused.stderr.contains(BASH) && refused.stderr.contains("missing.exe"), "{refused:?}");
    // A script for which no shell was chosen is not for cmd.exe either.
    let failed = named(&missing, &["run", "--wait", "exit 9"]);
    assert_eq!(failed.status, Some(125), "{failed:?}");
    assert!(failed.stderr.contains(BASH) && failed.stderr.contains("missing.exe"), "{failed:?}");
    assert_eq!(named(&missing, &["run", "--wait", "--shell", "cmd", "exit 9"]).status, Some(9));
}

#[cfg(windows)]
#[test]
fn a_shell_that_is_not_installed_is_refused_before_a_job_exists() {
    let setup = Setup::new();
    for shell in ["bash", "powershell"] {
        if shell == "bash" && has_git() {
            continue;
        }
        let mut command = setup.command(&["run", "--shell", shell, "exit 9"]);
        let empty = setup.home.scratch();
        command.env("PATH", empty).env_remove(BASH);
        let refused = answer(&command.output().expect("the program runs"));
        // Windows brings a PowerShell, in a folder of its own below System32, which only PATH names.
        assert_eq!((refused.status, refused.text()), (Some(2), ""), "{shell}: {refused:?}");
        assert!(refused.stderr.contains("not installed"), "{refused:?}");
    }
    assert!(setup.jobs().is_empty());
}
