//! Words that are no command: a request for help, or a mistake, told like every other error.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use homing::core::{DurationError, IdError};

use crate::exit::Failure;

/// What the parser says instead of a command.
#[derive(Debug)]
pub(crate) struct Unparsed {
    error: clap::Error,
    verb: Option<String>,
    wants_json: bool,
}

impl Unparsed {
    pub(super) fn new(error: clap::Error, words: &[OsString]) -> Unparsed {
        let verb = words.get(1).and_then(|word| word.to_str()).filter(|word| !word.starts_with('-'));
        // What stands behind `--` belongs to the command that is run.
        let wants_json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
        Unparsed { error, verb: verb.map(str::to_owned), wants_json }
    }

    /// Whether the error is to be JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.wants_json
    }

    /// Shows the help that was asked for.
    ///
    /// # Errors
    /// Where none was: the mistake.
    pub(crate) fn answer(self) -> Result<ExitCode, Failure> {
        match self.error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                self.error.print()?;
                // clap's codes: 0, and 2 where help is shown for want of a command.
                Ok(ExitCode::from(u8::try_from(self.error.exit_code()).unwrap_or(u8::MAX)))
            }
            _ => Err(self.mistake()),
        }
    }

    fn mistake(self) -> Failure {
        let text = self.error.to_string();
        let mut paragraphs =
            text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
        let first = paragraphs.next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
        // clap's other tips are about `--`, which is seldom what was meant.
        let tip = paragraphs.find_map(|paragraph| {
            paragraph.strip_prefix("tip: ").filter(|tip| tip.contains("similar")).map(str::to_owned)
        });
        let source = self.error.source();
        let (code, hint) =
            if let Some(error) = source.and_then(|source| source.downcast_ref::<DurationError>()) {
                ("invalid_duration", Some(error.hint().to_owned()))
            } else if let Some(error) = source.and_then(|source| source.downcast_ref::<IdError>()) {
                let error = homing::Error::InvalidId(error.clone());
                (error.code(), error.hint())
            } else {
                ("usage", None)
            };
        Failure::Usage { code, message, hint: Some(hint.or(tip).unwrap_or_else(|| self.where_to_look())) }
    }

    fn where_to_look(&self) -> String {
        let known = super::definition();
        match self.verb.as_deref().filter(|verb| known.find_subcommand(verb).is_some()) {
            Some(verb) => format!("homing {verb} --help shows how it is used"),
            None => "homing --help shows the commands".to_owned(),
        }
    }
}
