//! `[monitor]`: how sessions are woken.

use std::time::Duration;

use homing_core::RetryPolicy;
use serde::{Deserialize, Deserializer};

use super::duration;

/// `[monitor]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// `autostart = true`: whether launching a job starts a monitor where a sink is configured and none is running. It
    /// ends itself when nothing runs and nothing is due.
    pub autostart: bool,
    /// `concurrency = 8`: most attempts under way at once, of all sinks together; the last slot is left to a sink that has
    /// none. A sink has a `concurrency` of its own.
    pub concurrency: usize,
    /// `wakes_per_hour = 30`: most wakes that one session gets in an hour; what is beyond waits.
    pub wakes_per_hour: u32,
    /// `batch_window = "1s"`: time between two wakes of a session, in which finished jobs are collected
    /// for the second.
    #[serde(alias = "gather", deserialize_with = "duration")]
    pub batch_window: Duration,
    /// `retries = ["5s", "15s", …]`: the delay after the first failed attempt, after the second, and so on. After the
    /// last the wake is dead.
    #[serde(deserialize_with = "durations")]
    pub retries: Vec<Duration>,
    /// `busy_retry = "2s"`: the first delay after a session was busy; it doubles up to 32 times itself.
    #[serde(deserialize_with = "duration")]
    pub busy_retry: Duration,
}

impl Default for MonitorConfig {
    fn default() -> MonitorConfig {
        let policy = RetryPolicy::default();
        MonitorConfig {
            autostart: true,
            concurrency: 8,
            wakes_per_hour: 30,
            batch_window: Duration::from_secs(1),
            retries: policy.delays,
            busy_retry: policy.busy,
        }
    }
}

impl MonitorConfig {
    /// Whether anybody would be woken at all.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.wakes_per_hour == 0 {
            return Err("monitor.wakes_per_hour must be at least 1".to_owned());
        }
        if self.concurrency == 0 {
            return Err("monitor.concurrency must be at least 1".to_owned());
        }
        Ok(())
    }

    /// When a wake is tried again.
    pub fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy { delays: self.retries.clone(), busy: self.busy_retry }
    }
}

/// One duration of a list.
#[derive(Deserialize)]
struct Item(#[serde(deserialize_with = "duration")] Duration);

fn durations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let items = Vec::<Item>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|item| item.0).collect())
}
