//! `config.toml`: what a user may set. An unknown key is an error that names its line.

mod executors;
mod http_url;
mod loaded;
mod monitor;
mod redacted;
mod routes;
mod sinks;
mod template;
mod trust;

pub use executors::ExecutorConfig;
pub(crate) use http_url::HttpUrl;
pub(crate) use loaded::LoadedConfig;
pub use monitor::MonitorConfig;
pub use routes::RouteConfig;
pub(crate) use sinks::DEFAULT_SINK_CONCURRENCY;
pub use sinks::{
    Acknowledge, CommandConfig, NtfyConfig, PresetConfig, SinkConfig, SinkInput, SinkKind, WebhookConfig,
};
pub(crate) use template::fill_template;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_core::{
    DEFAULT_GRACE, DEFAULT_HEAD_BYTES, DEFAULT_TAIL_BYTES, DEFAULT_TIMEOUT, JobLimits, Shell, parse_duration,
};
use homing_supervisor::platform::paths;
use serde::{Deserialize, Deserializer, de};

use crate::harness::{preset_names, unknown_preset};
use crate::{Error, Result};

/// How many events the ledger keeps.
pub(crate) const DEFAULT_KEPT_EVENTS: u32 = 100_000;

/// The smallest number of events that the ledger may keep: it deletes the oldest after each 1,000.
const MIN_KEPT_EVENTS: u32 = 1_000;

/// Names another configuration file.
pub const CONFIG_VARIABLE: &str = "HOMING_CONFIG";

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Defaults of jobs.
    pub defaults: Defaults,
    /// Limits that no job exceeds.
    pub limits: Limits,
    /// How long jobs and follow-ups are kept.
    pub retention: Retention,
    /// `agents = ["claude-code"]`: harnesses whose sessions are woken through their presets. Short for a sink and a
    /// route for each.
    pub agents: Vec<String>,
    /// `[sinks.NAME]`: the ways to wake a session.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// `[[routes]]`: which sink wakes which session. The first match wins.
    pub routes: Vec<RouteConfig>,
    /// Settings of the monitor.
    pub monitor: MonitorConfig,
    /// `[executors.NAME]`: other machines that run jobs.
    pub executors: BTreeMap<String, ExecutorConfig>,
}

/// `[defaults]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// `timeout = "1h"` or `"none"`: timeout of a job.
    #[serde(deserialize_with = "duration_or_none")]
    pub timeout: Option<Duration>,
    /// `grace = "10s"`: time between SIGTERM and SIGKILL.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
    /// `output_head_bytes = 1048576`: bytes kept from the beginning of the output.
    pub output_head_bytes: u64,
    /// `output_tail_bytes = 4194304`: bytes kept from the end of the output.
    pub output_tail_bytes: u64,
    /// `shell = "bash"`: the shell that runs scripts: `bash`, `cmd` or `powershell`. Without it, that of the system.
    pub shell: Option<Shell>,
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults {
            timeout: Some(DEFAULT_TIMEOUT),
            grace: DEFAULT_GRACE,
            output_head_bytes: DEFAULT_HEAD_BYTES,
            output_tail_bytes: DEFAULT_TAIL_BYTES,
            shell: None,
        }
    }
}

impl Defaults {
    /// The limits of a job that sets none.
    pub fn limits(&self) -> JobLimits {
        JobLimits {
            timeout: self.timeout,
            grace: self.grace,
            head_bytes: self.output_head_bytes,
            tail_bytes: self.output_tail_bytes,
        }
    }
}

/// `[limits]`: what a job may use at most, whatever its launcher asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// `max_timeout = "8h"`: the longest timeout of a job, more than zero. Without it, any timeout is allowed, and none.
    #[serde(deserialize_with = "some_duration")]
    pub max_timeout: Option<Duration>,
}

impl Limits {
    /// The timeout that a job gets which is launched with this timeout; `None` for no timeout.
    pub fn clamp(&self, timeout: Option<Duration>) -> Option<Duration> {
        match (timeout, self.max_timeout) {
            (Some(timeout), Some(max)) => Some(timeout.min(max)),
            (timeout, max) => timeout.or(max),
        }
    }
}

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// `finished = "7d"`: finished and acknowledged jobs are deleted after this time.
    #[serde(deserialize_with = "duration")]
    pub finished: Duration,
    /// `undelivered = "30d"`: undelivered follow-ups expire after this time: they become dead, and their jobs are
    /// kept for `finished` from then on.
    #[serde(deserialize_with = "duration")]
    pub undelivered: Duration,
    /// `events = 100000`: how many events are kept, at least 1,000; up to 1,000 more until the oldest are deleted.
    pub events: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            finished: Duration::from_secs(7 * 86_400),
            undelivered: Duration::from_secs(30 * 86_400),
            events: DEFAULT_KEPT_EVENTS,
        }
    }
}

impl Config {
    /// Reads the user's configuration: `$HOMING_CONFIG`, else `$XDG_CONFIG_HOME/homing/config.toml`, else
    /// `~/.config/homing/config.toml`; on Windows `%HOMING_CONFIG%`, else `%APPDATA%\homing\config.toml`. A missing file counts as empty, unless `HOMING_CONFIG` names it.
    ///
    /// # Errors
    /// If the file cannot be read or is invalid. [`Error::ConfigRefused`] if users other than the owner and root can
    /// write it, because homing runs the programs that it names.
    pub fn load() -> Result<Config> {
        if let Some(path) = named_config_path() {
            return Config::load_from(&path);
        }
        match user_config_path() {
            Some(path) if path.exists() => Config::load_from(&path),
            Some(_) | None => Ok(Config::default()),
        }
    }

    /// Reads a configuration from a file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_from(path: &Path) -> Result<Config> {
        let invalid = |message: String| Error::InvalidConfig { path: path.to_owned(), message };
        let text = trust::read_trusted(path)?;
        let mut config: Config =
            toml::from_str(&text).map_err(|error| invalid(error.to_string().trim_end().to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        config.sinks.values_mut().for_each(|sink| sink.resolve_paths(folder));
        config.check().map_err(invalid)?;
        Ok(config)
    }

    /// Checks that all names refer to existing presets and sinks.
    fn check(&self) -> Result<(), String> {
        for name in &self.agents {
            if !preset_names().any(|preset| preset == name) {
                return Err(format!("agents: {}", unknown_preset(name)));
            }
        }
        self.defaults.limits().check_output()?;
        if self.limits.max_timeout.is_some_and(|max| max.is_zero()) {
            return Err("limits.max_timeout is zero: no job could run".to_owned());
        }
        if self.retention.events < MIN_KEPT_EVENTS {
            return Err(format!(
                "retention.events is {}: keep at least {MIN_KEPT_EVENTS}",
                self.retention.events
            ));
        }
        self.monitor.check()?;
        self.check_alert()?;
        self.executors.iter().try_for_each(|(name, executor)| executor.check(name))?;
        for route in &self.routes {
            if !self.sinks.contains_key(&route.sink) && !self.agents.contains(&route.sink) {
                return Err(format!(
                    "a route names the sink {:?}, but [sinks.{0}] is not defined",
                    route.sink
                ));
            }
        }
        Ok(())
    }

    /// Checks that dead wakes alert a person.
    fn check_alert(&self) -> Result<(), String> {
        let Some(name) = &self.monitor.alert else { return Ok(()) };
        match self.sinks.get(name).map(|sink| &sink.kind) {
            Some(SinkKind::Preset(_)) => Err(format!(
                "monitor.alert names {name:?}, which resumes an agent; name a sink that reaches a person: ntfy, desktop, \
                 webhook or command"
            )),
            Some(SinkKind::Command(_) | SinkKind::Webhook(_) | SinkKind::Ntfy(_) | SinkKind::Desktop) => {
                Ok(())
            }
            None => Err(format!(
                "monitor.alert names the sink {name:?}, but [sinks.{name}] is not defined; define it, for example with \
                 ntfy = \"https://ntfy.sh/TOPIC\""
            )),
        }
    }

    /// The sink of that name: a configured sink or a preset. A preset that `agents` does not list has no route, but
    /// jobs may name it.
    pub fn sink(&self, name: &str) -> Option<SinkConfig> {
        let is_preset = || preset_names().any(|preset| preset == name);
        let configured = self.sinks.get(name).cloned();
        configured.or_else(|| is_preset().then(|| SinkConfig::from_preset(name)))
    }

    /// Whether the configuration does not mention waking at all.
    pub(crate) fn leaves_waking_open(&self) -> bool {
        self.sinks.is_empty() && self.routes.is_empty() && self.agents.is_empty()
    }

    /// The names of all sinks.
    pub fn sink_names(&self) -> Vec<&str> {
        let agents = self.agents.iter().filter(|agent| !self.sinks.contains_key(*agent));
        self.sinks.keys().chain(agents).map(String::as_str).collect()
    }
}

/// The file that the environment names.
fn named_config_path() -> Option<PathBuf> {
    std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from)
}

/// The file that [`Config::load`] reads, whether it exists or not.
pub fn config_path() -> Option<PathBuf> {
    named_config_path().or_else(user_config_path)
}

/// The default path of the user's configuration.
pub fn user_config_path() -> Option<PathBuf> {
    paths::config_directory().map(|directory| directory.join("config.toml"))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(|error| de::Error::custom(format!("{error}; {}", error.hint())))
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

fn duration_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "none" {
        return Ok(None);
    }
    parse_duration(&text)
        .map(Some)
        .map_err(|error| de::Error::custom(format!("{error}; {}, or none", error.hint())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Config::load_from(&path)
    }

    #[test]
    fn unset_keys_keep_their_defaults() {
        let config = load("[defaults]\ntimeout = \"none\"\n").unwrap();
        let expected = Defaults { timeout: None, ..Defaults::default() };
        assert_eq!(config, Config { defaults: expected, ..Config::default() });
    }

    #[test]
    fn the_shell_of_scripts_is_named() {
        assert_eq!(
            load("[defaults]\nshell = \"powershell\"\n").unwrap().defaults.shell,
            Some(Shell::PowerShell)
        );
        let error = load("[defaults]\nshell = \"zsh\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("powershell"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_its_line() {
        let error = load("[defaults]\ngrace = \"5s\"\ntimeot = \"2h\"\n").unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("timeot"), "{error}");
    }

    #[test]
    fn a_bad_duration_is_an_error_that_says_how_to_write_one() {
        let error = load("[retention]\nfinished = \"7\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("7d"), "{error}");
    }

    #[test]
    fn a_largest_timeout_limits_every_timeout() {
        let limits = load("[limits]\nmax_timeout = \"8h\"\n").unwrap().limits;
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
        let clamped = [None, hours(9), hours(8), hours(1)].map(|timeout| limits.clamp(timeout));
        assert_eq!(clamped, [hours(8), hours(8), hours(8), hours(1)]);
        let without = Limits::default();
        assert_eq!([None, hours(900)].map(|timeout| without.clamp(timeout)), [None, hours(900)]);
        let error = load("[limits]\nmax_timeout = \"0s\"\n").unwrap_err().to_string();
        assert!(error.contains("max_timeout is zero"), "{error}");
        assert!(load("[limits]\nmax_timeout = \"none\"\n").is_err());
    }

    #[test]
    fn settings_that_prevent_all_wakes_are_refused() {
        for (setting, named) in [
            ("[monitor]\nwakes_per_hour = 0", "wakes_per_hour"),
            ("[monitor]\nconcurrency = 0", "concurrency"),
            ("[[routes]]\nsink = \"app\"", "app"),
            ("agents = [\"claude\"]", "claude-code"),
            ("[monitor]\nalert = \"phone\"", "[sinks.phone] is not defined"),
            ("[monitor]\nalert = \"codex\"", "[sinks.codex] is not defined"),
            ("[monitor]\nalert = \"a\"\n[sinks.a]\npreset = \"codex\"", "reaches a person"),
            ("[sinks.app]\nntfy = \"https://ntfy.sh/\"", "topic"),
            (
                "[sinks.app]\nntfy = \"https://ntfy.sh/t\"\nsecret_file = \"s\"",
                "only valid in a webhook sink",
            ),
            ("[sinks.app]\ncommand = []", "program"),
            ("[sinks.app]\ninput = \"text\"", "command, webhook, ntfy, preset, desktop"),
            ("[sinks.app]\ncommand = [\"a\"]\nwebhook = \"http://127.0.0.1\"", "all but one"),
            ("[sinks.app]\nwebhook = \"http://127.0.0.1\"\ninput = \"text\"", "only valid in a command sink"),
            ("[sinks.app]\ncommand = [\"a\"]\ntimeout = \"0s\"", "timeout"),
            ("[sinks.app]\ncommand = [\"a\"]\nconcurrency = 0", "concurrency"),
            ("[executors.Box]\nssh = \"box\"", "lower-case"),
            ("[executors.box]\nssh = \"-oProxyCommand=x\"", "destination"),
            ("[executors.box]\nssh = \"box -v\"", "destination"),
            ("[executors.box]\nssh = \"box\"\nprogram = \"homing\"", "must begin with /"),
            ("[executors.box]\nhost = \"box\"", "host"),
        ] {
            let error = load(setting).unwrap_err().to_string();
            assert!(error.contains(named), "{setting}: {error}");
        }
    }
}
