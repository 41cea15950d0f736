//! Why a connection ended, in words for the user.

use std::process::ExitStatus;

use crate::Error;

/// The status with which ssh(1) reports its own failures.
const SSH_FAILED: i32 = 255;

/// The statuses of a shell that cannot run a program, or does not find it.
const NOT_RUN: [i32; 2] = [126, 127];

/// The most characters of standard error in a message.
const MAX_SHOWN: usize = 300;

/// What is known about a connection that has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    /// The status of ssh(1); `None` if it was killed, or does not run.
    pub(crate) status: Option<i32>,
    /// The end of its standard error.
    pub(crate) stderr: String,
    /// What this program noticed.
    pub(crate) noticed: Option<String>,
}

impl Ended {
    pub(crate) fn noticed(what: impl Into<String>) -> Ended {
        Ended { noticed: Some(what.into()), ..Ended::default() }
    }

    pub(crate) fn with_status(self, status: Option<ExitStatus>) -> Ended {
        Ended { status: status.and_then(|status| status.code()), ..self }
    }

    /// The error for the user of this executor.
    pub(crate) fn into_error(self, executor: &str, destination: &str) -> Error {
        let said = self.last_words();
        let reason = match (self.noticed, self.status) {
            (Some(noticed), _) if said.is_empty() => noticed,
            (Some(noticed), _) => format!("{noticed}; {said}"),
            (None, _) if !said.is_empty() => said.clone(),
            (None, Some(status)) => format!("the connection ended with status {status}"),
            (None, None) => "the connection ended".to_owned(),
        };
        let hint = match self.status {
            Some(status) if NOT_RUN.contains(&status) => Some(format!(
                "homing is not installed there: run `homing setup-host {executor}`, or name it with executors.{executor}.program"
            )),
            _ if said.contains("Host key verification failed") => {
                Some(format!("run `ssh {destination}` once, and accept the key if it is the right one"))
            }
            _ if said.contains("Permission denied") => Some(format!(
                "homing never asks for a password: `ssh -o BatchMode=yes {destination} true` must work, with a key, an agent or \
                 a ControlMaster"
            )),
            _ if said.contains("Could not resolve hostname") => {
                Some(format!("check executors.{executor}.ssh, and ~/.ssh/config"))
            }
            Some(SSH_FAILED) => Some(format!("`ssh {destination} true` shows whether ssh reaches it")),
            Some(_) | None => None,
        };
        Error::ExecutorUnreachable { executor: executor.to_owned(), reason, hint }
    }

    /// The last lines of standard error as one line. They come from another machine: control characters are removed.
    fn last_words(&self) -> String {
        let lines: Vec<&str> = self.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(2)..].join("; ");
        let clean: String = last.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        clean.chars().skip(clean.chars().count().saturating_sub(MAX_SHOWN)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(status: i32, stderr: &str) -> (String, Option<String>) {
        let ended = Ended { status: Some(status), stderr: stderr.to_owned(), noticed: None };
        let error = ended.into_error("box", "me@box");
        (error.to_string(), error.hint().map(|hint| hint.to_string()))
    }

    #[test]
    fn each_failure_has_its_words_and_its_hint() {
        for (status, stderr, word, hint) in [
            (255, "Host key verification failed.\r\n", "verification", "accept the key"),
            (255, "me@box: Permission denied (publickey).", "publickey", "BatchMode"),
            (255, "ssh: Could not resolve hostname box: x", "hostname", "executors.box.ssh"),
            (255, "ssh: connect to host box port 22: Connection refused", "refused", "ssh me@box true"),
            (127, "sh: 1: exec: homing: not found", "not found", "setup-host box"),
        ] {
            let (message, found) = shown(status, stderr);
            assert!(
                message.contains("executor box cannot be reached") && message.contains(word),
                "{message}"
            );
            assert!(found.is_some_and(|found| found.contains(hint)), "{stderr}");
        }
        assert_eq!(shown(3, "").0, "executor box cannot be reached: the connection ended with status 3");
        assert!(!shown(1, "\u{1b}[31mred\u{7}").0.contains('\u{1b}'));
    }
}
