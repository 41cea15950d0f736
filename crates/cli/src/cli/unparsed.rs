//! Arguments that do not name a command: a request for help, or a usage error, which is reported like other errors.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use homing::core::{DurationError, IdError};

use crate::exit::Failure;

/// Names that users know from other programs, and the commands that do it here.
const HABITS: [(&str, &[&str]); 9] = [
    ("list", &["status", "jobs", "ls", "ps", "top"]),
    ("output", &["logs", "log", "tail", "cat", "attach", "follow"]),
    ("run", &["start", "launch", "exec", "spawn", "submit", "add", "queue"]),
    ("kill", &["stop", "cancel", "terminate", "abort", "end"]),
    ("show", &["info", "inspect", "describe", "get"]),
    ("wait", &["join", "block"]),
    ("prune", &["rm", "remove", "delete", "clean", "cleanup", "gc"]),
    ("setup", &["init", "install", "configure", "config"]),
    ("monitor", &["daemon", "server", "serve"]),
];

/// The answer of the parser when it does not return a command.
#[derive(Debug)]
pub(crate) struct Unparsed {
    reason: Reason,
    wants_json: bool,
}

#[derive(Debug)]
enum Reason {
    /// The parser does not accept the words.
    Clap {
        error: clap::Error,
        /// The first word, if it is not an option.
        verb: Option<String>,
    },
    /// The parser accepts the words, but they do not mean what the user expects.
    Rejected(Failure),
}

impl Unparsed {
    pub(super) fn new(error: clap::Error, words: &[OsString]) -> Unparsed {
        let verb = words.get(1).and_then(|word| word.to_str()).filter(|word| !word.starts_with('-'));
        let reason = Reason::Clap { error, verb: verb.map(str::to_owned) };
        Unparsed { reason, wants_json: wants_json(words) }
    }

    pub(super) fn rejected(failure: Failure, words: &[OsString]) -> Unparsed {
        Unparsed { reason: Reason::Rejected(failure), wants_json: wants_json(words) }
    }

    /// Whether the error is printed as JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.wants_json
    }

    /// Prints help or the version.
    ///
    /// # Errors
    /// The usage error, when the arguments did not ask for help.
    pub(crate) fn answer(self) -> Result<ExitCode, Failure> {
        let (error, verb) = match self.reason {
            Reason::Clap { error, verb } => (error, verb),
            Reason::Rejected(failure) => return Err(failure),
        };
        match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                error.print()?;
                // clap uses 0, and 2 when it shows help because no command was given.
                Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX)))
            }
            _ => Err(usage_error(&error, verb.as_deref())),
        }
    }
}

fn wants_json(words: &[OsString]) -> bool {
    // Words after `--` belong to the command of the job.
    words.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

fn usage_error(error: &clap::Error, verb: Option<&str>) -> Failure {
    let source = error.source();
    let (code, hint) = if let Some(error) = source.and_then(|source| source.downcast_ref::<DurationError>()) {
        ("invalid_duration", Some(error.hint().to_owned()))
    } else if let Some(error) = source.and_then(|source| source.downcast_ref::<IdError>()) {
        let error = homing::Error::InvalidId(error.clone());
        (error.code(), error.hint().map(|hint| hint.to_string()))
    } else {
        ("usage", suggestion(error))
    };
    Failure::Usage { code, message: message(error), hint: Some(hint.unwrap_or_else(|| help_hint(verb))) }
}

/// What is wrong.
fn message(error: &clap::Error) -> String {
    let one = |kind| values(error, kind).first().cloned().unwrap_or_default();
    let argument = one(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument '{argument}'"),
        ErrorKind::InvalidSubcommand => {
            format!("unrecognized subcommand '{}'", one(ContextKind::InvalidSubcommand))
        }
        ErrorKind::InvalidValue => match one(ContextKind::InvalidValue) {
            value if value.is_empty() => format!("'{argument}' needs a value{}", valid_values(error)),
            value => format!("invalid value '{value}' for '{argument}'{}", valid_values(error)),
        },
        ErrorKind::ValueValidation => {
            let reason = error.source().map_or(String::new(), |source| format!(": {source}"));
            format!("invalid value '{}' for '{argument}'{reason}", one(ContextKind::InvalidValue))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = values(error, ContextKind::InvalidArg);
            format!("the following required arguments were not provided: {}", missing.join(", "))
        }
        ErrorKind::ArgumentConflict => {
            let others = values(error, ContextKind::PriorArg);
            let subcommand = one(ContextKind::InvalidSubcommand);
            if !subcommand.is_empty() {
                format!("'{subcommand}' cannot be used after {}", quoted(&others))
            } else if others.is_empty() || others == [argument.clone()] {
                format!("the argument '{argument}' cannot be used multiple times")
            } else {
                format!("the argument '{argument}' cannot be used with {}", quoted(&others))
            }
        }
        ErrorKind::NoEquals => format!("'{argument}' needs an equals sign before its value"),
        ErrorKind::TooManyValues => {
            format!("unexpected value '{}' for '{argument}'", one(ContextKind::InvalidValue))
        }
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("wrong number of values for '{argument}'")
        }
        ErrorKind::MissingSubcommand => {
            let known = quoted(&values(error, ContextKind::ValidSubcommand));
            format!("'{}' needs a subcommand: {known}", one(ContextKind::InvalidSubcommand))
        }
        ErrorKind::InvalidUtf8 => "invalid UTF-8 in an argument".to_owned(),
        other => other.as_str().unwrap_or("the arguments are invalid").to_owned(),
    }
}

/// The values that an argument may have, if they are few.
fn valid_values(error: &clap::Error) -> String {
    let valid = values(error, ContextKind::ValidValue);
    if valid.is_empty() { String::new() } else { format!(": use {}", valid.join(", ")) }
}

/// What the user probably means.
fn suggestion(error: &clap::Error) -> Option<String> {
    let unknown = values(error, ContextKind::InvalidSubcommand);
    let by_habit = unknown
        .first()
        .and_then(|word| HABITS.iter().find(|(_, words)| words.contains(&word.to_lowercase().as_str())));
    if let Some((command, _)) = by_habit.filter(|_| error.kind() == ErrorKind::InvalidSubcommand) {
        return Some(format!("use homing {command}"));
    }
    [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
        .into_iter()
        .map(|kind| values(error, kind))
        .find(|similar| !similar.is_empty())
        // clap puts the most similar one last.
        .map(|similar| format!("similar: {}", quoted(&similar.into_iter().rev().collect::<Vec<_>>())))
}

fn help_hint(verb: Option<&str>) -> String {
    let definition = super::definition();
    match verb.filter(|verb| definition.find_subcommand(verb).is_some()) {
        Some(verb) => format!("run homing {verb} --help for usage"),
        None => "run homing --help to list the commands".to_owned(),
    }
}

/// The texts of one kind in the context of an error.
fn values(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;

    #[test]
    fn habits_name_commands_and_no_word_twice() {
        let definition = definition();
        let mut words: Vec<&str> = HABITS.iter().flat_map(|(_, words)| words.iter().copied()).collect();
        assert!(HABITS.iter().all(|(command, _)| definition.find_subcommand(command).is_some()));
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
