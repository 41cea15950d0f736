//! Numbers for monitoring systems, in the text format of OpenMetrics. No label contains a command, a name or a session:
//! anybody may choose those.

use std::sync::atomic::AtomicU64;

use homing::SessionSummary;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The numbers of a server.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<StatusClass, Counter>,
    running: Gauge<u64, AtomicU64>,
    finished: Gauge<u64, AtomicU64>,
    open_follow_ups: Gauge<u64, AtomicU64>,
    dead_follow_ups: Gauge<u64, AtomicU64>,
    sessions: Gauge<u64, AtomicU64>,
    monitor: Gauge<u64, AtomicU64>,
    streams: Gauge<u64, AtomicU64>,
}

/// The first digit of a status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusClass {
    status: &'static str,
}

impl Metrics {
    pub(super) fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("homing"),
            requests: Family::default(),
            running: Gauge::default(),
            finished: Gauge::default(),
            open_follow_ups: Gauge::default(),
            dead_follow_ups: Gauge::default(),
            sessions: Gauge::default(),
            monitor: Gauge::default(),
            streams: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("http_requests", "Answered HTTP requests", metrics.requests.clone());
        for (name, help, gauge) in [
            ("jobs_running", "Jobs that have not finished", &metrics.running),
            ("jobs_finished", "Jobs that have finished and are kept", &metrics.finished),
            ("follow_ups_open", "Results that are not acknowledged", &metrics.open_follow_ups),
            ("follow_ups_dead", "Results that are not delivered any more", &metrics.dead_follow_ups),
            ("sessions", "Sessions that have jobs", &metrics.sessions),
            ("monitor_active", "1 if a monitor delivers results", &metrics.monitor),
            ("streams_open", "Open event streams, live outputs and long waits", &metrics.streams),
        ] {
            registry.register(name, help, gauge.clone());
        }
        metrics
    }

    /// Counts an answer.
    pub(super) fn count(&self, status: u16) {
        let status = match status {
            ..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
        self.requests.get_or_create(&StatusClass { status }).inc();
    }

    /// The current numbers.
    pub(super) fn text(&self, sessions: &[SessionSummary], has_monitor: bool, streams: usize) -> String {
        let sum = |number: fn(&SessionSummary) -> u64| sessions.iter().map(number).sum::<u64>();
        self.running.set(sum(|session| session.running));
        self.finished.set(sum(|session| session.finished));
        self.open_follow_ups.set(sum(|session| session.open_follow_ups));
        self.dead_follow_ups.set(sum(|session| session.dead));
        self.sessions.set(sessions.len() as u64);
        self.monitor.set(u64::from(has_monitor));
        self.streams.set(streams as u64);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a text does not fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_the_text_format() {
        let metrics = Metrics::new();
        metrics.count(200);
        metrics.count(204);
        metrics.count(503);
        let text = metrics.text(&[], true, 3);
        for line in [
            "homing_http_requests_total{status=\"2xx\"} 2",
            "homing_http_requests_total{status=\"5xx\"} 1",
            "homing_monitor_active 1",
            "homing_streams_open 3",
            "# EOF",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
    }
}
