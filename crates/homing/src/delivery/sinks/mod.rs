//! Sinks: the ways to wake a session. One kind a file; what they share is the trait. A sink decides nothing about
//! retries: it says what came of one attempt.

mod command;
mod desktop;
mod http;
mod preset;
mod secret_file;
mod webhook;

pub use secret_file::read_secret_file;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use homing_core::text::WakeFormat;
use homing_core::{Delivery, Wake};

use crate::Result;
use crate::config::{Acknowledge, DEFAULT_SINK_CONCURRENCY, SinkConfig, SinkKind};

/// A way to wake a session. A host in Rust implements this to be told in its own process.
///
/// Called from threads of the monitor: for several sessions at once, for one session never twice at the same time.
pub trait Sink: Send + Sync {
    /// Tries once to deliver a wake, and says what came of it. May block as long as the agent's turn takes. A panic
    /// counts as a failed attempt.
    ///
    /// The same wake may come again, with the same id and the same content: after a failed attempt, and when an answer
    /// was lost because the monitor died.
    fn deliver(&self, wake: &Wake) -> Delivery;

    /// How long one attempt may take at most: so long a monitor that takes over waits for what is left of one.
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    /// How many attempts may be under way at once, at least 1; 4 without this. `monitor.concurrency` limits all sinks
    /// together, and the last of those slots is left to a sink that has none.
    fn concurrency(&self) -> usize {
        DEFAULT_SINK_CONCURRENCY
    }

    /// How long a wake that was [handed off](Delivery::HandedOff) may stay unacknowledged before it is sent again.
    fn acknowledge_within(&self) -> Duration {
        Duration::from_secs(900)
    }

    /// Whether the agent has to acknowledge by itself, so that the text tells it how.
    fn needs_acknowledgement(&self) -> bool {
        false
    }

    /// How the text is laid out.
    fn format(&self) -> WakeFormat {
        WakeFormat::Plain
    }
}

/// What a configured sink may know of the home that it works for.
#[derive(Clone, Debug)]
pub(crate) struct SinkContext<'a> {
    /// Where the home is: a woken agent's own jobs belong there too.
    pub(crate) home: &'a Path,
}

/// Makes the sink that the configuration describes.
///
/// # Errors
/// When a file it names cannot be read or is not safe.
pub(crate) fn from_config(config: &SinkConfig, context: &SinkContext<'_>) -> Result<Arc<dyn Sink>> {
    let sink: Box<dyn Sink> = match &config.kind {
        SinkKind::Command(command) => Box::new(command::CommandSink::new(command, config.timeout, context)),
        SinkKind::Webhook(webhook) => Box::new(webhook::WebhookSink::new(webhook, config.timeout)?),
        SinkKind::Preset(preset) => preset::build(preset, config.timeout, context)?,
        SinkKind::Desktop => Box::new(desktop::DesktopSink::new(config.timeout)),
    };
    Ok(Arc::new(ConfiguredSink {
        sink,
        timeout: config.timeout,
        concurrency: config.concurrency,
        acknowledge: config.acknowledge,
        acknowledge_within: config.acknowledge_within,
        format: config.format,
    }))
}

/// A sink with what the configuration says about acknowledging.
struct ConfiguredSink {
    sink: Box<dyn Sink>,
    timeout: Duration,
    concurrency: usize,
    acknowledge: Acknowledge,
    acknowledge_within: Duration,
    format: WakeFormat,
}

impl Sink for ConfiguredSink {
    fn deliver(&self, wake: &Wake) -> Delivery {
        match (self.sink.deliver(wake), self.acknowledge) {
            (Delivery::Delivered, Acknowledge::Explicit) => Delivery::HandedOff,
            (delivery, Acknowledge::Explicit | Acknowledge::OnSuccess) => delivery,
        }
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn acknowledge_within(&self) -> Duration {
        self.acknowledge_within
    }

    fn needs_acknowledgement(&self) -> bool {
        self.acknowledge == Acknowledge::Explicit || self.sink.needs_acknowledgement()
    }

    fn format(&self) -> WakeFormat {
        self.format
    }
}
