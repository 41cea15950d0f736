//! The configuration for people who may not know its secrets: without arguments of commands, and without paths and queries of
//! URLs, which may contain tokens. Files with secrets are named, not read.

use std::time::Duration;

use homing_core::format_duration;
use homing_core::text::WakeFormat;
use serde_json::{Map, Value, json};

use super::http_url::HttpUrl;
use super::{
    Acknowledge, CommandConfig, Config, Defaults, ExecutorConfig, Limits, MonitorConfig, NtfyConfig,
    PresetConfig, Retention, RouteConfig, SinkConfig, SinkInput, SinkKind, WebhookConfig,
};

/// What replaces a part that may be secret.
const REDACTED: &str = "…";

impl Config {
    /// The configuration as JSON, with the keys of the file. What may be secret is replaced by `…`: arguments of commands
    /// without a placeholder, and paths and queries of URLs. Durations are texts such as `1h`.
    pub fn redacted(&self) -> Value {
        let Config { defaults, limits, retention, agents, sinks, routes, monitor, executors } = self;
        let sinks: Map<String, Value> =
            sinks.iter().map(|(name, sink)| (name.clone(), of_sink(sink))).collect();
        json!({
            "defaults": of_defaults(defaults),
            "limits": of_limits(limits),
            "retention": of_retention(retention),
            "agents": agents,
            "sinks": sinks,
            "routes": routes.iter().map(of_route).collect::<Vec<_>>(),
            "monitor": of_monitor(monitor),
            "executors": executors.iter().map(|(name, executor)| (name.clone(), of_executor(executor))).collect::<Map<_, _>>(),
        })
    }
}

fn of_defaults(defaults: &Defaults) -> Value {
    let Defaults { timeout, grace, output_head_bytes, output_tail_bytes, shell } = defaults;
    json!({
        "timeout": timeout.map_or_else(|| "none".to_owned(), format_duration),
        "grace": format_duration(*grace),
        "output_head_bytes": output_head_bytes,
        "output_tail_bytes": output_tail_bytes,
        "shell": shell,
    })
}

fn of_executor(executor: &ExecutorConfig) -> Value {
    let ExecutorConfig { ssh, program, home } = executor;
    json!({"ssh": ssh, "program": program, "home": home})
}

fn of_limits(limits: &Limits) -> Value {
    let Limits { max_timeout } = limits;
    json!({"max_timeout": max_timeout.map(format_duration)})
}

fn of_retention(retention: &Retention) -> Value {
    let Retention { finished, undelivered, events } = retention;
    json!({
        "finished": format_duration(*finished),
        "undelivered": format_duration(*undelivered),
        "events": events,
    })
}

fn of_route(route: &RouteConfig) -> Value {
    let RouteConfig { session, harness, sink } = route;
    json!({"session": session, "harness": harness, "sink": sink})
}

fn of_monitor(monitor: &MonitorConfig) -> Value {
    let MonitorConfig { autostart, concurrency, wakes_per_hour, batch_window, retries, busy_retry, alert } =
        monitor;
    let durations = |all: &[Duration]| all.iter().copied().map(format_duration).collect::<Vec<_>>();
    json!({
        "autostart": autostart,
        "concurrency": concurrency,
        "wakes_per_hour": wakes_per_hour,
        "batch_window": format_duration(*batch_window),
        "retries": durations(retries),
        "busy_retry": format_duration(*busy_retry),
        "alert": alert,
    })
}

fn of_sink(sink: &SinkConfig) -> Value {
    let SinkConfig { kind, timeout, concurrency, acknowledge, acknowledge_within, format } = sink;
    let mut document = match kind {
        SinkKind::Command(CommandConfig { argv, input, directory }) => json!({
            "command": of_arguments(argv, 1),
            "input": match input {
                SinkInput::Json => "json",
                SinkInput::Text => "text",
            },
            "directory": directory,
        }),
        SinkKind::Webhook(WebhookConfig { url, secret_file }) => {
            json!({"webhook": of_url(url), "secret_file": secret_file})
        }
        SinkKind::Ntfy(NtfyConfig { url, token_file }) => {
            json!({"ntfy": of_url(url), "token_file": token_file})
        }
        SinkKind::Preset(PresetConfig { preset, program, arguments, url, key_file }) => json!({
            "preset": preset,
            "program": program,
            "arguments": of_arguments(arguments, 0),
            "url": url.as_deref().map(of_url),
            "key_file": key_file,
        }),
        SinkKind::Desktop => json!({"desktop": true}),
    };
    document["timeout"] = format_duration(*timeout).into();
    document["concurrency"] = (*concurrency).into();
    document["acknowledge"] = match acknowledge {
        Acknowledge::OnSuccess => "on-success",
        Acknowledge::Explicit => "explicit",
    }
    .into();
    document["acknowledge_within"] = format_duration(*acknowledge_within).into();
    document["format"] = match format {
        WakeFormat::Plain => "plain",
        WakeFormat::TaskNotification => "task-notification",
    }
    .into();
    document
}

/// Arguments, of which the first `plain` ones, names of options and placeholders are shown.
fn of_arguments(arguments: &[String], plain: usize) -> Vec<&str> {
    let is_shown = |argument: &str| {
        argument.starts_with('-') && !argument.contains('=')
            || argument.starts_with('{') && argument.ends_with('}')
    };
    let all = arguments.iter().enumerate();
    all.map(|(at, argument)| if at < plain || is_shown(argument) { argument.as_str() } else { REDACTED })
        .collect()
}

/// A URL without its path and query, which may contain a topic or a token.
fn of_url(url: &str) -> String {
    match HttpUrl::parse(url) {
        Ok(parsed) => {
            let scheme = if parsed.is_encrypted() { "https" } else { "http" };
            let has_more = parsed.as_uri().path_and_query().is_some_and(|path| path.as_str() != "/");
            format!("{scheme}://{parsed}/{}", if has_more { REDACTED } else { "" })
        }
        Err(_) => REDACTED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        let text = r#"
            [sinks.app]
            command = ["wake", "--token", "hunter2", "--key=hunter2", "{session}"]
            [sinks.hook]
            webhook = "https://hooks.example/hunter2?key=hunter2"
            secret_file = "/etc/secret"
            [sinks.phone]
            ntfy = "https://ntfy.sh/hunter2"
            [[routes]]
            session = "chat-*"
            sink = "app"
        "#;
        let config: Config = toml::from_str(text).unwrap();
        let redacted = config.redacted();
        assert!(!redacted.to_string().contains("hunter2"), "{redacted}");
        assert_eq!(redacted["sinks"]["app"]["command"], json!(["wake", "--token", "…", "…", "{session}"]));
        assert_eq!(redacted["sinks"]["hook"]["webhook"], "https://hooks.example/…");
        assert_eq!(redacted["sinks"]["hook"]["secret_file"], "/etc/secret");
        assert_eq!(redacted["sinks"]["phone"]["ntfy"], "https://ntfy.sh/…");
        assert_eq!(redacted["routes"], json!([{"session": "chat-*", "harness": null, "sink": "app"}]));
        assert_eq!(
            (&redacted["defaults"]["timeout"], &redacted["limits"]["max_timeout"]),
            (&json!("1h"), &Value::Null)
        );
    }
}
