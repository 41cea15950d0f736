//! `homing run --shell`, and the shell in the configuration.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::setup::{Answer, Setup, answer};

/// A program that behaves as `pwsh` does to its caller: prints its arguments, and exits with 3.
const STAND_IN: &str = "#!/bin/sh\necho \"$@\"\ncat \"$5\"\nexit 3\n";

/// Runs a script to its end, with the stand-in for PowerShell as the only program in `PATH` besides those of the system.
fn run(setup: &Setup, arguments: &[&str]) -> Answer {
    let program = setup.file("bin/pwsh", STAND_IN);
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it is executable");
    let mut command = setup.command(&[&["run", "--wait"], arguments].concat());
    command.env("PATH", format!("{}:/usr/bin:/bin", program.parent().expect("a folder").display()));
    answer(command)
}

#[test]
fn powershell_runs_a_script_of_its_own_kind() {
    let setup = Setup::new();
    let ran = run(&setup, &["--shell", "powershell", "--name", "shown", "Get-Item x"]);
    assert_eq!(ran.status, Some(3), "{ran:?}");
    let (arguments, script) = ran.stdout.split_once('\n').expect("two parts");
    assert!(arguments.starts_with("-NoLogo -NoProfile -NonInteractive -File /"), "{arguments}");
    assert!(arguments.ends_with("/command.ps1"), "{arguments}");
    assert!(script.starts_with("\u{feff}Get-Item x\n"), "{script}");
    assert_eq!(setup.job("shown")["shell"], "powershell");
}

#[test]
fn the_configuration_names_the_shell_of_scripts_but_not_of_programs() {
    let setup = Setup::new();
    setup.configure("[defaults]\nshell = \"powershell\"\n");
    assert_eq!(run(&setup, &["Get-Item x"]).status, Some(3));
    assert_eq!(run(&setup, &["--shell", "bash", "echo $((6 * 7))"]).stdout, "42\n");
    assert_eq!(run(&setup, &["--name", "exact", "--", "echo", "a b"]).stdout, "a b\n");
    assert_eq!(setup.job("exact").get("shell"), None);
}

#[test]
fn a_shell_that_this_system_lacks_is_refused_before_a_job_exists() {
    let setup = Setup::new();
    let refused = run(&setup, &["--shell", "cmd", "ver"]);
    assert_eq!(refused.status, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("the shell cmd cannot run the script: only Windows has it"),
        "{refused:?}"
    );
    let unknown = run(&setup, &["--shell", "zsh", "true"]);
    assert!(unknown.stderr.contains("use bash, cmd or powershell"), "{unknown:?}");
    assert_eq!(setup.run(&["list", "--json"]).json(), serde_json::json!([]));
}
