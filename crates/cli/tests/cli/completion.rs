//! Shells complete commands, options, jobs and sessions by asking the program.

use std::process::{Command, Stdio};

use testkit::skip;

use crate::setup::Setup;

/// What bash offers for the last of these words.
fn offered(setup: &Setup, session: Option<&str>, words: &[&str]) -> Option<Vec<String>> {
    let script = setup.run(&["completions", "bash"]).stdout;
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let last = words.last().expect("a word");
    let script = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9\n\
         _clap_complete_homing homing '{last}' ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" "),
        words.len() - 1
    );
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_homing"));
    let path = std::env::var("PATH").expect("PATH is set");
    let base = setup.command(&["-V"]);
    let mut bash = Command::new("bash");
    for (name, value) in base.get_envs() {
        match value {
            Some(value) => bash.env(name, value),
            None => bash.env_remove(name),
        };
    }
    bash.args(["--norc", "-c", &script])
        .env("PATH", format!("{}:{path}", program.parent().expect("a folder").display()))
        .current_dir(setup.home.scratch())
        .stdin(Stdio::null());
    if let Some(session) = session {
        bash.env("HOMING_SESSION", session);
    }
    let output = match bash.output() {
        Ok(output) => output,
        Err(error) => {
            skip(&format!("cannot run bash: {error}"));
            return None;
        }
    };
    // `compopt` works only while a real completion runs.
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.lines().all(|line| line.contains("compopt")), "{stderr}");
    let stdout = String::from_utf8(output.stdout).expect("text");
    Some(stdout.lines().filter(|line| !line.is_empty()).map(|line| line.trim_end().to_owned()).collect())
}

#[test]
fn bash_completes_jobs_of_the_session() {
    let setup = Setup::new();
    if offered(&setup, None, &["homing", ""]).is_none() {
        return;
    }
    let named = setup.finished_with(&["-s", "a", "--name", "nightly"], "true");
    let unsafe_name = "night $(touch owned)";
    let plain = setup.finished_with(&["-s", "a", "--name", unsafe_name], "true");
    let others = setup.finished_with(&["-s", "b", "--name", "night-of-b"], "true");
    let of_a = |words: &[&str]| offered(&setup, Some("a"), words).expect("bash runs");
    assert_eq!(of_a(&["homing", "show", "ni"]), ["nightly"], "own names that a shell takes literally");
    let all = of_a(&["homing", "kill", ""]);
    assert!(all.contains(&named) && all.contains(&plain) && all.contains(&"last".to_owned()), "{all:?}");
    assert!(!all.contains(&others) && !all.iter().any(|word| word.contains('$')), "{all:?}");
    assert_eq!(of_a(&["homing", "logs", &named[..6]]), [named.as_str()]);
    let everything = offered(&setup, None, &["homing", "show", ""]).expect("bash runs");
    assert!(everything.contains(&named) && everything.contains(&others), "{everything:?}");
    assert_eq!(offered(&setup, None, &["homing", "list", "--session", ""]).expect("bash runs"), ["a", "b"]);
    assert_eq!(
        offered(&setup, None, &["homing", "list", "--name", "night-"]).expect("bash runs"),
        ["night-of-b"]
    );
    assert!(!setup.home.scratch().join("owned").exists());
}

#[test]
fn bash_completes_commands_and_options_without_a_home() {
    let setup = Setup::new();
    let Some(commands) = offered(&setup, None, &["homing", "re"]) else { return };
    for command in ["recover", "remove", "rerun", "result", "retry"] {
        assert!(commands.contains(&command.to_owned()), "{commands:?}");
    }
    let options = offered(&setup, None, &["homing", "list", "--s"]).expect("bash runs");
    assert_eq!(options, ["--session", "--state", "--since"]);
    assert!(
        offered(&setup, None, &["homing", "show", ""])
            .expect("bash runs")
            .iter()
            .all(|word| word.starts_with('-'))
    );
    assert!(!setup.home.path().exists(), "completion creates no home");
}

#[test]
fn every_shell_has_a_script() {
    let setup = Setup::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let answer = setup.run(&["completions", shell]);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
        assert!(answer.stdout.contains("HOMING_COMPLETE"), "{shell}: {}", answer.stdout);
    }
}
