//! Presets: wake sessions of the known agent harnesses. See [`crate::harness`] for their profiles.

mod harness_output;
mod post;
mod queue;
#[cfg(test)]
mod queue_tests;
mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{Sink, SinkContext};
use crate::config::{Acknowledge, PresetConfig};
use crate::harness::{Paths, Profile, Transport, arguments_of, unknown_preset};
use crate::{Error, Result};

use post::PostSink;
use run::RunSink;

/// Makes the sink of a preset.
///
/// # Errors
/// If the preset does not support a setting, or its key cannot be read.
pub(super) fn build(
    config: &PresetConfig,
    timeout: Duration,
    acknowledge: Acknowledge,
    context: &SinkContext<'_>,
) -> Result<Box<dyn Sink>> {
    let name = config.preset.as_str();
    let Some(profile) = Profile::named(name) else {
        return Err(Error::InvalidRequest(unknown_preset(name)));
    };
    let refuse = |what: &str| Err(Error::InvalidRequest(format!("the preset {name} has no {what}")));
    match &profile.preset().transport {
        Transport::Run(_) if config.url.is_some() => refuse("url: it is a program"),
        Transport::Run(_) if config.key_file.is_some() => refuse("key_file: it is a program"),
        Transport::Post(_) if config.program.is_some() => refuse("program: it is a server"),
        Transport::Post(_) if !config.arguments.is_empty() => refuse("arguments: it is a server"),
        Transport::Run(run) => Ok(Box::new(RunSink {
            profile,
            transport: run,
            program: config.program.clone(),
            arguments: config.arguments.clone(),
            timeout,
            home: context.home.to_owned(),
            paths: Paths::from_environment(),
            arguments_of,
            acknowledge,
        })),
        Transport::Post(post) => Ok(Box::new(PostSink::new(profile, post, config, timeout)?)),
    }
}
