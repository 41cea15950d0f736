//! How ssh(1) is called, and what its shell there runs.

use std::process::Command;

use homing_supervisor::EXECUTOR_ARGUMENT;

use crate::config::ExecutorConfig;
use crate::store::home::HOME_VARIABLE;

/// The options of ssh(1). It never asks, and notices within 45 s that the other side is gone (ssh_config(5)).
const OPTIONS: [&str; 9] = [
    "-T",
    "-oBatchMode=yes",
    "-oConnectTimeout=10",
    "-oServerAliveInterval=15",
    "-oServerAliveCountMax=3",
    "-oForwardX11=no",
    "-oForwardAgent=no",
    "-oRequestTTY=no",
    "--",
];

/// Prepares ssh(1) to run a script for sh(1) there. The shell of the user there only has to know single quotes.
pub(super) fn ssh(config: &ExecutorConfig, script: &str) -> Command {
    let mut command = Command::new("ssh");
    command.args(OPTIONS).arg(&config.ssh).arg(format!("exec sh -c {}", quoted(script)));
    command
}

/// The script that starts the program there.
pub(super) fn program_there(config: &ExecutorConfig, copied: Option<&str>) -> String {
    let mut script = String::new();
    if let Some(home) = &config.home {
        script.push_str(&format!("{HOME_VARIABLE}={}; export {HOME_VARIABLE}; ", expanded(home)));
    }
    match (&config.program, copied) {
        (Some(program), _) => script.push_str(&format!("exec {} {EXECUTOR_ARGUMENT}", expanded(program))),
        (None, Some(copied)) => {
            let copied = expanded(copied);
            script.push_str(&format!(
                "if [ -x {copied} ]; then exec {copied} {EXECUTOR_ARGUMENT}; fi; exec homing {EXECUTOR_ARGUMENT}"
            ));
        }
        (None, None) => script.push_str(&format!("exec homing {EXECUTOR_ARGUMENT}")),
    }
    script
}

/// A path for sh(1), with the home directory of the user there in place of `~`.
pub(super) fn expanded(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(below) => format!("\"$HOME\"/{}", quoted(below)),
        None => quoted(path),
    }
}

/// Quotes a text for sh(1).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(program: Option<&str>, home: Option<&str>) -> ExecutorConfig {
        let [program, home] = [program, home].map(|path| path.map(str::to_owned));
        ExecutorConfig { ssh: "box".to_owned(), program, home }
    }

    #[test]
    fn paths_are_quoted() {
        assert_eq!(program_there(&config(None, None), None), "exec homing __executor");
        let hostile = config(Some("/opt/it's $HOME"), Some("~/a b"));
        let expected =
            r#"HOMING_HOME="$HOME"/'a b'; export HOMING_HOME; exec '/opt/it'\''s $HOME' __executor"#;
        assert_eq!(program_there(&hostile, None), expected);
    }
}
