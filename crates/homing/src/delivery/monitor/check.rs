//! Checks whether results are delivered.

use crate::Result;
use crate::check::{Check, Verdict};
use crate::config::Config;
use crate::context::Context;

impl Context {
    /// Checks whether a monitor is active, or starts on demand.
    pub(crate) fn check_monitor(&self) -> Result<Check> {
        Ok(monitor_check(self.config(), self.active_monitor()?))
    }
}

/// Checks whether a monitor is active, or starts on demand. `active` is its process id; 0 if unknown.
pub(crate) fn monitor_check(config: &Config, active: Option<u32>) -> Check {
    let has_sinks = !config.sink_names().is_empty();
    match active {
        Some(0) => Check::new("monitor", Verdict::Ok, "active"),
        Some(pid) => Check::new("monitor", Verdict::Ok, format!("active, pid {pid}")),
        None if has_sinks && config.monitor.autostart => {
            Check::new("monitor", Verdict::Ok, "not active; the next launch starts it")
        }
        None if has_sinks => Check::new("monitor", Verdict::Note, "not active; results are not delivered")
            .hint("run `homing monitor` or `homing monitor install`"),
        None => {
            Check::new("monitor", Verdict::Note, "not active, and no sink is configured; results are not delivered")
                .hint(
                    "add agents = [\"claude-code\"] to config.toml to resume Claude Code; see `homing monitor --help`",
                )
        }
    }
}
