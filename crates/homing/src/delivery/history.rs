//! The history of wakes, and test wakes.

use std::time::Instant;

use homing_core::text::{WakeTextOptions, wake_text};
use homing_core::{Delivery, JobId, SessionId, Wake, WakeContent, format_duration};

use crate::check::{Check, Verdict};
use crate::context::Context;
use crate::delivery::monitor::monitor_check;
use crate::delivery::routes::{Addressee, Router};
use crate::framing::with_nonce;
use crate::index::query::ListOptions;
use crate::ledger::WakeRecord;
use crate::{Origin, Result};

impl Context {
    /// All kept wakes that contain a job, newest first.
    pub(crate) fn wakes_of(&self, job: JobId) -> Result<Vec<WakeRecord>> {
        self.get(job)?;
        self.with_ledger(|ledger| ledger.wakes_of(job))
    }

    /// Sends a test wake without jobs through the route of a session, and returns the result of every step. Does not
    /// write the ledger, and does not acknowledge anything.
    pub(crate) fn try_route(&self, origin: &Origin) -> Result<Vec<Check>> {
        let mut checks = vec![self.check_monitor()?];
        let trusted = self.store.loaded.check_is_trusted();
        let router =
            match trusted.and_then(|()| Router::from_config(self.config(), self.store.home.root.path())) {
                Ok(router) => router,
                Err(error) => {
                    let check = Check::new("sinks", Verdict::Problem, error.to_string());
                    checks.push(match error.hint() {
                        Some(hint) => check.hint(hint.to_string()),
                        None => check,
                    });
                    return Ok(checks);
                }
            };
        let session = &origin.session;
        let harness = match &origin.harness {
            Some(harness) => Some(harness.clone()),
            None => self.harness_of(session)?,
        };
        let routed = Addressee { session, harness: harness.as_deref(), sink: None };
        // If nothing is configured, the MCP server names the preset of the harness for the jobs that it launches.
        let preset = self.preset_unless_configured(&Origin { harness: harness.clone(), ..origin.clone() });
        let (name, sink) = match router.sink_for(Addressee { sink: preset, ..routed }) {
            Ok(found) => found,
            Err(reason) => {
                checks.push(
                    Check::new("route", Verdict::Problem, format!("{session}: {reason}"))
                        .hint("add a [[routes]] table with session and sink to config.toml"),
                );
                return Ok(checks);
            }
        };
        checks.push(match preset {
            Some(preset) => Check::new(
                "route",
                Verdict::Note,
                format!("{session} is woken through the preset {preset}, for jobs launched over MCP only"),
            )
            .hint(format!("set agents = [\"{preset}\"] in config.toml to wake it for all of its jobs")),
            None => Check::new("route", Verdict::Ok, format!("{session} is woken through {name}")),
        });
        let id = self.new_wake_id()?;
        let text = with_nonce(|nonce| {
            let options =
                WakeTextOptions { wake: id, format: sink.format(), needs_acknowledgement: false, nonce };
            wake_text(&[], &options)
        })?;
        let content = WakeContent::new(text, &[]);
        let wake = Wake { id, session: session.clone(), attempt: 1, created_at: self.now(), content };
        checks.push(Check::new(
            "wake",
            Verdict::Ok,
            format!("sent {id} with timeout {}", format_duration(sink.timeout())),
        ));
        let started = Instant::now();
        let delivery = sink.deliver(&wake);
        checks.push(check_delivery(&delivery, &format_duration(started.elapsed())));
        Ok(checks)
    }

    /// The harness of the session's newest job that was launched from inside a harness.
    fn harness_of(&self, session: &SessionId) -> Result<Option<String>> {
        let options = ListOptions { session: Some(session.clone()), ..ListOptions::default() };
        Ok(self.listing(&options)?.jobs.into_iter().find_map(|job| job.harness))
    }

    /// Whether a monitor is active, or starts when needed.
    pub(crate) fn check_monitor(&self) -> Result<Check> {
        Ok(monitor_check(self.config(), self.active_monitor()?))
    }
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
