//! Sinks: the ways to wake a session. One kind a file, one trait for all. A sink does not decide about retries: it
//! returns the result of one attempt.

mod command;
mod desktop;
mod http;
mod ntfy;
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

/// A way to wake a session. Hosts in Rust implement it to receive wakes in their own process.
///
/// The monitor calls sinks from its threads: in parallel for different sessions, one at a time for each session.
pub trait Sink: Send + Sync {
    /// Tries once to deliver a wake, and returns the result. May block as long as the agent's turn takes. A panic
    /// counts as a failed attempt.
    ///
    /// The same wake may come again, with the same id and content: after a failed attempt, and after an answer was
    /// lost because the monitor died.
    fn deliver(&self, wake: &Wake) -> Delivery;

    /// Tells a person that results could not be delivered (`monitor.alert`). Tried once. The wake names no job; its text says
    /// which sessions and jobs are concerned. By default the same as [`Sink::deliver`].
    fn alert(&self, wake: &Wake) -> Delivery {
        self.deliver(wake)
    }

    /// The longest time of one attempt. A monitor that takes over waits this long for attempts of the previous one.
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    /// How many attempts may run at once, at least 1; 4 by default. `monitor.concurrency` limits all sinks together.
    /// Its last slot is reserved for a sink without attempts in flight.
    fn concurrency(&self) -> usize {
        DEFAULT_SINK_CONCURRENCY
    }

    /// How long a wake that was [handed off](Delivery::HandedOff) may stay unacknowledged before it is sent again.
    fn acknowledge_within(&self) -> Duration {
        Duration::from_secs(900)
    }

    /// Whether the agent must acknowledge the wake. If so, the text explains how.
    fn needs_acknowledgement(&self) -> bool {
        false
    }

    /// The format of the text.
    fn format(&self) -> WakeFormat {
        WakeFormat::Plain
    }
}

/// What a configured sink knows about its home.
#[derive(Clone, Debug)]
pub(crate) struct SinkContext<'a> {
    /// The path of the home. Jobs that a woken agent launches go there too.
    pub(crate) home: &'a Path,
}

/// Creates the sink that the configuration describes.
///
/// # Errors
/// If a file it names cannot be read or is not safe.
pub(crate) fn from_config(config: &SinkConfig, context: &SinkContext<'_>) -> Result<Arc<dyn Sink>> {
    let sink: Box<dyn Sink> = match &config.kind {
        SinkKind::Command(command) => Box::new(command::CommandSink::new(command, config.timeout, context)),
        SinkKind::Webhook(webhook) => Box::new(webhook::WebhookSink::new(webhook, config.timeout)?),
        SinkKind::Ntfy(ntfy) => Box::new(ntfy::NtfySink::new(ntfy, config.timeout)?),
        SinkKind::Preset(preset) => preset::build(preset, config.timeout, config.acknowledge, context)?,
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

/// A sink with its configured limits and its mode of acknowledgement.
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

    fn alert(&self, wake: &Wake) -> Delivery {
        self.sink.alert(wake)
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
