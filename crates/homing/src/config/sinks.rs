//! `[sinks.NAME]`: one way to wake a session. Reading the file refuses keys that do not belong together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_core::text::WakeFormat;
use serde::Deserialize;

use super::duration;
use super::http_url::check_url;
use super::template::check_template;
use crate::harness::{preset_format, unknown_preset};

/// One way to wake a session.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSink")]
pub struct SinkConfig {
    /// The kind, with its own settings.
    pub kind: SinkKind,
    /// `timeout = "10m"`: the timeout of one attempt.
    pub timeout: Duration,
    /// `concurrency = 4`: how many attempts may run at once.
    pub concurrency: usize,
    /// `acknowledge = "on-success"` or `"explicit"`.
    pub acknowledge: Acknowledge,
    /// `acknowledge_within = "15m"`: how long a handed-off wake may stay unacknowledged before it is sent again.
    pub acknowledge_within: Duration,
    /// `format = "plain"` or `"task-notification"`: the format of the text.
    pub format: WakeFormat,
}

/// The kind of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// `command = ["my-agent", "--resume", "{session}"]`
    Command(CommandConfig),
    /// `webhook = "http://127.0.0.1:7000/wake"`
    Webhook(WebhookConfig),
    /// `ntfy = "https://ntfy.sh/TOPIC"`: a notification on a person's phone.
    Ntfy(NtfyConfig),
    /// `preset = "claude-code"`
    Preset(PresetConfig),
    /// `desktop = true`: a notification on the user's desktop.
    Desktop,
}

/// A program that homing starts for each wake, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandConfig {
    /// The program and its arguments. `{session}`, `{wake}` and `{job}` stand for the session, the wake's id and the
    /// first job's id.
    pub argv: Vec<String>,
    /// `input = "json"` or `"text"`: the content of its standard input.
    pub input: SinkInput,
    /// `directory = "/srv/app"`: its working directory; the user's home directory by default.
    pub directory: Option<PathBuf>,
}

/// The content of a command sink's standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkInput {
    /// The document `homing.wake/1`.
    #[default]
    Json,
    /// Only the text for the agent.
    Text,
}

/// An HTTP endpoint that follows the Standard Webhooks specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The URL.
    pub url: String,
    /// `secret_file = "hook.secret"`: the file with the signing secret, `whsec_` and base64; several lines for
    /// several secrets while keys rotate. Relative to the configuration file.
    pub secret_file: Option<PathBuf>,
}

/// A topic of an ntfy server (<https://ntfy.sh>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NtfyConfig {
    /// The URL of the topic.
    pub url: String,
    /// `token_file = "ntfy.token"`: the file with the access token. Relative to the configuration file.
    pub token_file: Option<PathBuf>,
}

/// A harness that homing knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresetConfig {
    /// The name of the preset.
    pub preset: String,
    /// `program = "/opt/bin/claude"`: the program, if it is not in `PATH` under its usual name.
    pub program: Option<String>,
    /// `arguments = ["--model", "sonnet"]`: additional arguments.
    pub arguments: Vec<String>,
    /// `url = "http://127.0.0.1:3000"`: the server, for a harness that is a server.
    pub url: Option<String>,
    /// `key_file = "openhands.key"`: the file with its key. Relative to the configuration file.
    pub key_file: Option<PathBuf>,
}

/// What acknowledges a wake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledge {
    /// The sink's success. The sink must return only after the agent has read the wake.
    #[default]
    OnSuccess,
    /// An explicit `homing ack`, or the session reading the result. The sink only accepts the wake.
    Explicit,
}

/// Timeout of an attempt through a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);
/// Timeout of an attempt through an agent harness: a whole turn of the agent.
const PRESET_TIMEOUT: Duration = Duration::from_secs(1_800);
/// Timeout of an HTTP request; the Standard Webhooks specification recommends 15 s to 30 s.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Timeout of a desktop notification.
const DESKTOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How many attempts of one sink may run at once.
pub(crate) const DEFAULT_SINK_CONCURRENCY: usize = 4;
/// How long a handed-off wake may stay unacknowledged.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(900);

impl SinkConfig {
    /// A command sink, with JSON on its standard input.
    ///
    /// # Errors
    /// The reason, for people, if the command has no program or an unknown placeholder.
    pub fn from_command(argv: Vec<String>) -> Result<SinkConfig, String> {
        RawSink { command: Some(argv), ..RawSink::default() }.try_into()
    }

    /// The sink of a preset with its default settings.
    pub(super) fn from_preset(name: &str) -> SinkConfig {
        RawSink { preset: Some(name.to_owned()), ..RawSink::default() }
            .try_into()
            .expect("a preset's name was checked, and nothing else is set")
    }

    /// Resolves file names relative to the configuration file.
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        let path = match &mut self.kind {
            SinkKind::Command(command) => &mut command.directory,
            SinkKind::Webhook(webhook) => &mut webhook.secret_file,
            SinkKind::Ntfy(ntfy) => &mut ntfy.token_file,
            SinkKind::Preset(preset) => &mut preset.key_file,
            SinkKind::Desktop => return,
        };
        if let Some(path) = path {
            *path = folder.join(&path);
        }
    }
}

/// All keys of a sink's table.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSink {
    command: Option<Vec<String>>,
    webhook: Option<String>,
    ntfy: Option<String>,
    preset: Option<String>,
    desktop: Option<bool>,
    input: Option<SinkInput>,
    directory: Option<PathBuf>,
    secret_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    program: Option<String>,
    arguments: Option<Vec<String>>,
    url: Option<String>,
    key_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "some_duration")]
    timeout: Option<Duration>,
    concurrency: Option<usize>,
    acknowledge: Option<Acknowledge>,
    #[serde(default, deserialize_with = "some_duration")]
    acknowledge_within: Option<Duration>,
    format: Option<WakeFormat>,
}

fn some_duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

impl TryFrom<RawSink> for SinkConfig {
    type Error = String;

    fn try_from(raw: RawSink) -> Result<SinkConfig, String> {
        raw.check_keys()?;
        if raw.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err("timeout must be greater than zero".to_owned());
        }
        if raw.concurrency == Some(0) {
            return Err("concurrency must be at least 1".to_owned());
        }
        let mut format = WakeFormat::default();
        let (kind, timeout) = if let Some(argv) = raw.command {
            check_template(&argv)?;
            let input = raw.input.unwrap_or_default();
            (SinkKind::Command(CommandConfig { argv, input, directory: raw.directory }), COMMAND_TIMEOUT)
        } else if let Some(url) = raw.webhook {
            check_url(&url).map_err(|reason| format!("webhook: {reason}"))?;
            (SinkKind::Webhook(WebhookConfig { url, secret_file: raw.secret_file }), WEBHOOK_TIMEOUT)
        } else if let Some(url) = raw.ntfy {
            check_url(&url).map_err(|reason| format!("ntfy: {reason}"))?;
            check_topic(&url)?;
            (SinkKind::Ntfy(NtfyConfig { url, token_file: raw.token_file }), WEBHOOK_TIMEOUT)
        } else if let Some(preset) = raw.preset {
            format = preset_format(&preset).ok_or_else(|| unknown_preset(&preset))?;
            let arguments = raw.arguments.unwrap_or_default();
            let (program, url, key_file) = (raw.program, raw.url, raw.key_file);
            (SinkKind::Preset(PresetConfig { preset, program, arguments, url, key_file }), PRESET_TIMEOUT)
        } else {
            check_desktop()?;
            (SinkKind::Desktop, DESKTOP_TIMEOUT)
        };
        Ok(SinkConfig {
            kind,
            timeout: raw.timeout.unwrap_or(timeout),
            concurrency: raw.concurrency.unwrap_or(DEFAULT_SINK_CONCURRENCY),
            acknowledge: raw.acknowledge.unwrap_or_default(),
            acknowledge_within: raw.acknowledge_within.unwrap_or(ACKNOWLEDGE_WITHIN),
            format: raw.format.unwrap_or(format),
        })
    }
}

impl RawSink {
    /// Checks that the table has exactly one kind and only keys of that kind.
    fn check_keys(&self) -> Result<(), String> {
        let kinds = [
            ("command", self.command.is_some()),
            ("webhook", self.webhook.is_some()),
            ("ntfy", self.ntfy.is_some()),
            ("preset", self.preset.is_some()),
            ("desktop", self.desktop == Some(true)),
        ];
        let set: Vec<&str> = kinds.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        let kind = match set[..] {
            [kind] => kind,
            [] => {
                return Err("a sink needs one of: command, webhook, ntfy, preset, desktop = true".to_owned());
            }
            _ => return Err(format!("a sink has one kind; remove all but one of {}", set.join(", "))),
        };
        for (key, set, belongs_to) in [
            ("input", self.input.is_some(), "command"),
            ("directory", self.directory.is_some(), "command"),
            ("secret_file", self.secret_file.is_some(), "webhook"),
            ("token_file", self.token_file.is_some(), "ntfy"),
            ("program", self.program.is_some(), "preset"),
            ("arguments", self.arguments.is_some(), "preset"),
            ("url", self.url.is_some(), "preset"),
            ("key_file", self.key_file.is_some(), "preset"),
        ] {
            if set && kind != belongs_to {
                return Err(format!("{key} is only valid in a {belongs_to} sink; this is a {kind} sink"));
            }
        }
        Ok(())
    }
}

/// Checks that the URL of an ntfy server ends with a topic: letters, digits, `_` and `-`, at most 64 (its documentation).
///
/// # Errors
/// If it does not.
fn check_topic(url: &str) -> Result<(), String> {
    let topic = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let topic = topic.rsplit('/').next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_topic = (1..=64).contains(&topic.len()) && topic.chars().all(is_plain);
    let error = || "ntfy: the URL must end with a topic, such as https://ntfy.sh/my-secret-topic".to_owned();
    is_topic.then_some(()).ok_or_else(error)
}

/// Checks that this build can show desktop notifications on this system.
///
/// # Errors
/// If it cannot.
fn check_desktop() -> Result<(), String> {
    #[cfg(feature = "desktop")]
    return homing_supervisor::platform::desktop::support().map_err(|why| format!("desktop: {why}"));
    #[cfg(not(feature = "desktop"))]
    Err("desktop: this build of homing has no desktop notices".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_posted_to_is_refused_when_the_file_is_read() {
        for (url, reason) in [
            ("wake", "http://"),
            ("ftp://127.0.0.1/", "not ftp://"),
            ("http://user:hunter2@127.0.0.1/", "password"),
        ] {
            let error = toml::from_str::<SinkConfig>(&format!("webhook = {url:?}")).unwrap_err();
            let message = error.message();
            assert!(message.starts_with("webhook: ") && message.contains(reason), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    #[cfg(not(feature = "desktop"))]
    fn a_build_without_desktop_notices_says_so_when_the_file_is_read() {
        let error = toml::from_str::<SinkConfig>("desktop = true").unwrap_err();
        assert_eq!(error.message(), "desktop: this build of homing has no desktop notices");
    }
}
