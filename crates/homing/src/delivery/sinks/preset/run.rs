//! Wakes a session through its harness's program: resumes it for one turn in its directory, and requires proof that
//! the turn ran.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use homing_core::{Delivery, Wake};
use serde::Deserialize;

use super::harness_output::HarnessOutput;
use crate::config::Acknowledge;
use crate::delivery::sinks::Sink;
use crate::harness::{
    ArgumentsOf, Directory, HARNESS_VARIABLE, Paths, Profile, RunTransport, SESSION_VARIABLE, SessionDir,
    ShellSession, harness_settings, not_its_session, reason_not_to_resume,
};
use crate::process::exit::{Exit, SinkExit};
use crate::process::runner::Program;

/// Runs a harness for one turn.
pub(super) struct RunSink {
    pub(super) profile: &'static Profile,
    pub(super) transport: &'static RunTransport,
    /// The program, if it is not the preset's.
    pub(super) program: Option<String>,
    /// Additional arguments.
    pub(super) arguments: Vec<String>,
    /// The timeout of a turn.
    pub(super) timeout: Duration,
    /// The home for jobs that the woken agent launches.
    pub(super) home: PathBuf,
    pub(super) paths: Paths,
    /// Returns the arguments of the process that has a session open.
    pub(super) arguments_of: ArgumentsOf,
    /// What acknowledges a wake.
    pub(super) acknowledge: Acknowledge,
}

impl RunSink {
    /// The program that resumes a session for one turn.
    fn turn(&self, wake: &Wake, directory: Option<PathBuf>) -> Program {
        let on_stdin = !self.transport.argv.iter().any(|word| word == "{text}");
        let text = || self.profile.preset().text(&wake.content.text).into_bytes();
        let input = if on_stdin { text() } else { Vec::new() };
        Program { directory, input, ..self.program(self.argv(wake), wake, self.timeout) }
    }

    /// A program of the harness.
    pub(super) fn program(&self, argv: Vec<String>, wake: &Wake, timeout: Duration) -> Program {
        let mut program = Program::for_wake(argv, wake, &self.home, timeout);
        program.remove.extend(harness_settings().map(str::to_owned));
        program.set.push((HARNESS_VARIABLE.to_owned(), OsString::from(self.profile.name)));
        if self.profile.session.shell == ShellSession::Exported {
            // Its own variable names the session, and stays correct if it switches to another session.
            program.set.retain(|(name, _)| name != SESSION_VARIABLE);
            program.remove.push(SESSION_VARIABLE.to_owned());
        }
        program
    }

    fn argv(&self, wake: &Wake) -> Vec<String> {
        let words = self.transport.argv.iter().enumerate().flat_map(|(index, word)| match word.as_str() {
            _ if index == 0 => vec![self.program.clone().unwrap_or_else(|| word.clone())],
            "{arguments}" => self.arguments.clone(),
            "{text}" => vec![self.profile.preset().text(&wake.content.text)],
            word => vec![word.replace("{session}", wake.session.as_str())],
        });
        words.collect()
    }

    /// The result of a turn. `found` is whether the session was found before.
    fn verdict(&self, turn: &SinkExit, wake: &Wake, found: bool) -> Delivery {
        let name = self.profile.name;
        let output = HarnessOutput::new(&turn.stdout, &turn.stderr);
        let succeeded = turn.exit == Exit::Code(0);
        let proves = |proof| output.proves(proof, wake.session.as_str());
        if succeeded && proves(&self.transport.proof) || proves(&self.transport.cut_short) {
            return Delivery::Delivered;
        }
        if let Some(reason) = output.line_with(&self.transport.busy) {
            return Delivery::Busy { retry_after: None, reason };
        }
        if let Some(reason) = output.line_with(&self.transport.gone) {
            return match found {
                false => Delivery::Gone { reason },
                true => Delivery::Failed { error: format!("{reason}; but a session with that id exists") },
            };
        }
        let description = match (output.reason(&self.transport.reason), turn.exit) {
            (Some(reason), exit) => format!("{exit}: {reason}"),
            (None, _) => turn.description(),
        };
        let error = match succeeded {
            true => format!("{name} printed no proof that the turn ran: {description}"),
            false => format!("{name}: {description}"),
        };
        Delivery::Failed { error }
    }
}

impl Sink for RunSink {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let (name, session) = (self.profile.name, wake.session.as_str());
        if let Some(delivery) = not_its_session(self.profile, session) {
            return delivery;
        }
        let preset = self.profile.preset();
        if let Some(delivery) = preset.queue.as_ref().and_then(|queue| self.deliver_to_open(queue, wake)) {
            return delivery;
        }
        let files = preset.active_session.as_ref();
        if let Some(reason) =
            files.and_then(|files| reason_not_to_resume(files, (name, session), &self.paths))
        {
            return Delivery::Busy { retry_after: None, reason };
        }
        let session_dir = preset.directory.as_ref().map(|directory| directory.of(session, &self.paths));
        let (directory, found) = match session_dir {
            Some(SessionDir::In(directory)) => (Some(directory), true),
            Some(SessionDir::Somewhere | SessionDir::Unknown)
                if preset.directory.as_ref().is_some_and(Directory::is_required) =>
            {
                let error = format!("cannot find the directory of this session of {name}");
                return Delivery::Failed { error };
            }
            Some(SessionDir::Somewhere) => (launched_in(wake), true),
            Some(SessionDir::Unknown) | None => (launched_in(wake), false),
        };
        match self.turn(wake, directory).run() {
            Ok(turn) => self.verdict(&turn, wake, found),
            Err(error) => Delivery::Failed { error: error.to_string() },
        }
    }
}

/// The directory from which the session launched a job of the wake: the best guess at its own directory.
fn launched_in(wake: &Wake) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Launched {
        cwd: PathBuf,
    }
    let jobs: Vec<Launched> = serde_json::from_str(wake.content.jobs.as_json()).ok()?;
    jobs.into_iter().map(|job| job.cwd).find(|directory| directory.is_dir())
}
