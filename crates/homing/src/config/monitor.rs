//! `[monitor]`: settings of the monitor.

use std::time::Duration;

use homing_core::RetryPolicy;
use serde::{Deserialize, Deserializer};

use super::duration;

/// `[monitor]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// `autostart = true`: whether launching a job starts a monitor if a sink is configured and no monitor is
    /// running. This monitor exits when no job runs and nothing is due.
    pub autostart: bool,
    /// `concurrency = 8`: how many attempts of all sinks may run at once. The last slot is reserved for a sink
    /// without attempts in flight. Each sink also has its own `concurrency`.
    pub concurrency: usize,
    /// `wakes_per_hour = 30`: how many wakes one session may get in an hour. Further results wait.
    pub wakes_per_hour: u32,
    /// `batch_window = "1s"`: minimum time between two wakes of a session. Jobs that finish meanwhile share the
    /// second.
    #[serde(alias = "gather", deserialize_with = "duration")]
    pub batch_window: Duration,
    /// `retries = ["5s", "15s", …]`: the delay after the first failed attempt, after the second, and so on. After the
    /// last one the wake is dead.
    #[serde(deserialize_with = "durations")]
    pub retries: Vec<Duration>,
    /// `busy_retry = "2s"`: the first delay after a session was busy. It doubles up to 32 times this value.
    #[serde(deserialize_with = "duration")]
    pub busy_retry: Duration,
    /// `alert = "phone"`: the sink that tells a person when a wake is dead. It cannot be the preset of a harness.
    pub alert: Option<String>,
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
            alert: None,
        }
    }
}

impl MonitorConfig {
    /// Refuses settings that prevent all wakes.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.wakes_per_hour == 0 {
            return Err("monitor.wakes_per_hour must be at least 1".to_owned());
        }
        if self.concurrency == 0 {
            return Err("monitor.concurrency must be at least 1".to_owned());
        }
        Ok(())
    }

    /// The schedule of retries.
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
