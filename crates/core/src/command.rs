//! The command of a job: a shell script, or a program with its arguments.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The command of a job. One argument is a shell script; several are an exact argv that no shell parses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobCommand {
    /// Run by a [`Shell`](crate::Shell).
    Script(String),
    /// A program and its arguments. A name without a slash is searched in `PATH`.
    Argv(Vec<String>),
}

impl JobCommand {
    /// Creates a shell script.
    ///
    /// # Errors
    /// If it is blank or contains a NUL byte.
    pub fn script(text: impl Into<String>) -> Result<JobCommand, CommandError> {
        JobCommand::Script(text.into()).checked()
    }

    /// Creates a program with arguments, which are passed exactly.
    ///
    /// # Errors
    /// If the program is missing or an argument contains a NUL byte.
    pub fn argv<I: IntoIterator<Item = S>, S: Into<String>>(words: I) -> Result<JobCommand, CommandError> {
        JobCommand::Argv(words.into_iter().map(Into::into).collect()).checked()
    }

    /// Returns the command if it can be run.
    ///
    /// # Errors
    /// If it is blank or contains a NUL byte.
    pub fn checked(self) -> Result<JobCommand, CommandError> {
        let (is_empty, holds_nul) = match &self {
            JobCommand::Script(text) => (text.trim().is_empty(), text.contains('\0')),
            JobCommand::Argv(words) => {
                (words.first().is_none_or(String::is_empty), words.iter().any(|word| word.contains('\0')))
            }
        };
        match (is_empty, holds_nul) {
            (true, _) => Err(CommandError::Empty),
            (_, true) => Err(CommandError::Nul),
            (false, false) => Ok(self),
        }
    }

    /// Interprets the words of a command line: one word is a script, several are an argv.
    ///
    /// # Errors
    /// As [`JobCommand::script`] and [`JobCommand::argv`].
    pub fn from_words(mut words: Vec<String>) -> Result<JobCommand, CommandError> {
        match words.len() {
            0 => Err(CommandError::Empty),
            1 => JobCommand::script(words.remove(0)),
            _ => JobCommand::argv(words),
        }
    }
}

/// The script itself, or the argv quoted for a shell.
impl fmt::Display for JobCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobCommand::Script(text) => f.write_str(text),
            JobCommand::Argv(words) => {
                let quoted = shlex::try_join(words.iter().map(String::as_str)).map_err(|_| fmt::Error)?;
                f.write_str(&quoted)
            }
        }
    }
}

/// Why a command cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The command is empty or blank.
    #[error("the command is empty")]
    Empty,
    /// The kernel ends an argument at a NUL byte (execve(2)).
    #[error("the command contains a NUL byte")]
    Nul,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Result<JobCommand, CommandError> {
        JobCommand::from_words(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn one_word_is_a_script_and_several_are_an_argv() {
        assert_eq!(words(&["echo $HOME"]), Ok(JobCommand::Script("echo $HOME".to_owned())));
        let exact = words(&["printf", "%s", "a b", "it's"]).unwrap();
        assert_eq!(exact.to_string(), r#"printf '%s' 'a b' "it's""#);
    }

    #[test]
    fn empty_commands_and_nul_bytes_are_refused() {
        assert_eq!(words(&[]), Err(CommandError::Empty));
        assert_eq!(words(&[" \n"]), Err(CommandError::Empty));
        assert_eq!(words(&["", "x"]), Err(CommandError::Empty));
        assert_eq!(words(&["echo \0"]), Err(CommandError::Nul));
        assert_eq!(words(&["echo", "a\0b"]), Err(CommandError::Nul));
    }
}
