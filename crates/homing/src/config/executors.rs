//! `[executors.NAME]`: other machines that run jobs.

use serde::Deserialize;

/// The longest name of an executor, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// A machine that is reached with ssh(1), and runs homing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorConfig {
    /// `ssh = "me@box"`: the destination for ssh(1), such as a host of `~/.ssh/config`.
    pub ssh: String,
    /// `program = "~/bin/homing"`: the program there. Without it, the copy that `homing setup-host` made, else `homing` in the
    /// `PATH` of a shell without login.
    #[serde(default)]
    pub program: Option<String>,
    /// `home = "/scratch/me/homing"`: the home there ([`HOME_VARIABLE`](crate::HOME_VARIABLE)). Without it, the default there.
    #[serde(default)]
    pub home: Option<String>,
}

impl ExecutorConfig {
    /// Checks what is passed to ssh(1) and to the shell there.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let starts_well =
            name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !starts_well || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_name) {
            return Err(format!(
                "{name:?} cannot be the name of an executor: use at most {MAX_NAME_BYTES} lower-case letters, digits, - and _"
            ));
        }
        // A destination that begins with - would be an option of ssh.
        if self.ssh.is_empty() || self.ssh.starts_with('-') || has_odd_characters(&self.ssh) {
            return Err(format!(
                "executors.{name}.ssh is {:?}: name a destination of ssh, such as \"me@box\"; options belong into ~/.ssh/config",
                self.ssh
            ));
        }
        for (key, path) in [("program", &self.program), ("home", &self.home)] {
            let Some(path) = path else { continue };
            if !(path.starts_with('/') || path.starts_with("~/")) || path.contains(char::is_control) {
                return Err(format!("executors.{name}.{key} is {path:?}: it must begin with / or ~/"));
            }
        }
        Ok(())
    }
}

fn has_odd_characters(destination: &str) -> bool {
    destination.contains(|character: char| character.is_whitespace() || character.is_control())
}
