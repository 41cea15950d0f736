//! Test wakes: try the route of a session without a job. Do not write the ledger.

use std::sync::Arc;
use std::time::Instant;

use homing_core::text::{WakeTextOptions, wake_text};
use homing_core::{Delivery, SessionId, Wake, WakeContent, format_duration};

use crate::check::{Check, Verdict};
use crate::context::Context;
use crate::delivery::routes::{Addressee, Router};
use crate::delivery::sinks::Sink;
use crate::framing::with_nonce;
use crate::index::query::ListOptions;
use crate::{Origin, Result};

impl Context {
    /// Sends a test wake without jobs through the route of a session, and returns the result of every step. Does not
    /// acknowledge anything.
    pub(crate) fn try_route(&self, origin: &Origin) -> Result<Vec<Check>> {
        let mut checks = vec![self.check_monitor()?];
        let trusted = self.store.loaded.check_is_trusted();
        let router =
            match trusted.and_then(|()| Router::from_config(self.config(), self.store.home.root.path())) {
                Ok(router) => router,
                Err(error) => {
                    checks.push(Check::of_error("sinks", &error));
                    return Ok(checks);
                }
            };
        let harness = match &origin.harness {
            Some(harness) => Some(harness.clone()),
            None => self.harness_of(&origin.session)?,
        };
        let origin = Origin { session: origin.session.clone(), harness };
        let (sink, check) = self.check_route(&router, &origin);
        checks.push(check);
        if let Some(sink) = sink {
            let wake = self.test_wake(&origin.session, &*sink)?;
            checks.push(check_sent(&wake, &*sink));
            let started = Instant::now();
            let delivery = sink.deliver(&wake);
            checks.push(check_delivery(&delivery, &format_duration(started.elapsed())));
        }
        Ok(checks)
    }

    /// Finds the sink of a session.
    fn check_route(&self, router: &Router, origin: &Origin) -> (Option<Arc<dyn Sink>>, Check) {
        let session = &origin.session;
        // If nothing is configured, the MCP server names the preset of the harness for the jobs that it launches.
        let preset = self.preset_unless_configured(origin);
        let addressee = Addressee { session, harness: origin.harness.as_deref(), sink: preset };
        let (name, sink) = match router.sink_for(addressee) {
            Ok(found) => found,
            Err(reason) => {
                let check = Check::new("route", Verdict::Problem, format!("{session}: {reason}"))
                    .hint("add a [[routes]] table with session and sink to config.toml");
                return (None, check);
            }
        };
        let check = match preset {
            Some(preset) => Check::new(
                "route",
                Verdict::Note,
                format!("{session} is woken through the preset {preset}, for jobs launched over MCP only"),
            )
            .hint(format!("set agents = [\"{preset}\"] in config.toml to wake it for all of its jobs")),
            None => Check::new("route", Verdict::Ok, format!("{session} is woken through {name}")),
        };
        (Some(Arc::clone(sink)), check)
    }

    fn test_wake(&self, session: &SessionId, sink: &dyn Sink) -> Result<Wake> {
        let id = self.new_wake_id()?;
        let text = with_nonce(|nonce| {
            let options =
                WakeTextOptions { wake: id, format: sink.format(), needs_acknowledgement: false, nonce };
            wake_text(&[], &options)
        })?;
        let content = WakeContent::new(text, &[]);
        Ok(Wake { id, session: session.clone(), attempt: 1, created_at: self.now(), content })
    }

    /// The harness of the session's newest job that was launched from inside a harness.
    fn harness_of(&self, session: &SessionId) -> Result<Option<String>> {
        let options = ListOptions { session: Some(session.clone()), ..ListOptions::default() };
        Ok(self.listing(&options)?.jobs.into_iter().find_map(|job| job.harness))
    }
}

fn check_sent(wake: &Wake, sink: &dyn Sink) -> Check {
    let detail = format!("sent {} with timeout {}", wake.id, format_duration(sink.timeout()));
    Check::new("wake", Verdict::Ok, detail)
}

fn check_delivery(delivery: &Delivery, took: &str) -> Check {
    let reason = delivery.reason().unwrap_or_default();
    match delivery {
        Delivery::Delivered => Check::new("delivery", Verdict::Ok, format!("delivered in {took}")),
        Delivery::HandedOff => Check::new(
            "delivery",
            Verdict::Ok,
            format!("handed off in {took}; jobs stay pending until they are acknowledged"),
        ),
        Delivery::Busy { .. } => {
            Check::new("delivery", Verdict::Note, format!("busy after {took}: {reason}"))
                .hint("a real wake would be retried later")
        }
        Delivery::Gone { .. } => {
            Check::new("delivery", Verdict::Problem, format!("gone after {took}: {reason}"))
        }
        Delivery::Failed { .. } => {
            Check::new("delivery", Verdict::Problem, format!("failed after {took}: {reason}"))
        }
    }
}
