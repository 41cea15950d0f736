//! Arguments that do not name a command: a request for help, or a usage error, which is reported like other errors.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use homing::core::{DurationError, IdError};

use crate::exit::Failure;

/// The answer of the parser when it does not return a command.
#[derive(Debug)]
pub(crate) struct Unparsed {
    error: clap::Error,
    verb: Option<String>,
    wants_json: bool,
}

impl Unparsed {
    pub(super) fn new(error: clap::Error, words: &[OsString]) -> Unparsed {
        let verb = words.get(1).and_then(|word| word.to_str()).filter(|word| !word.starts_with('-'));
        // Words after `--` belong to the command of the job.
        let wants_json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
        Unparsed { error, verb: verb.map(str::to_owned), wants_json }
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
        match self.error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                self.error.print()?;
                // clap uses 0, and 2 when it shows help because no command was given.
                Ok(ExitCode::from(u8::try_from(self.error.exit_code()).unwrap_or(u8::MAX)))
            }
            _ => Err(self.usage_error()),
        }
    }

    fn usage_error(self) -> Failure {
        let text = self.error.to_string();
        let mut paragraphs =
            text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
        let first = paragraphs.next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
        // The other tips of clap recommend `--`, which is rarely what the user needs.
        let tip = paragraphs.find_map(|paragraph| {
            paragraph.strip_prefix("tip: ").filter(|tip| tip.contains("similar")).map(str::to_owned)
        });
        let source = self.error.source();
        let (code, hint) =
            if let Some(error) = source.and_then(|source| source.downcast_ref::<DurationError>()) {
                ("invalid_duration", Some(error.hint().to_owned()))
            } else if let Some(error) = source.and_then(|source| source.downcast_ref::<IdError>()) {
                let error = homing::Error::InvalidId(error.clone());
                (error.code(), error.hint().map(|hint| hint.to_string()))
            } else {
                ("usage", None)
            };
        Failure::Usage { code, message, hint: Some(hint.or(tip).unwrap_or_else(|| self.help_hint())) }
    }

    fn help_hint(&self) -> String {
        let definition = super::definition();
        match self.verb.as_deref().filter(|verb| definition.find_subcommand(verb).is_some()) {
            Some(verb) => format!("run homing {verb} --help for usage"),
            None => "run homing --help to list the commands".to_owned(),
        }
    }
}
