//! The text and the commands of the systemd user unit. Does no I/O. Format: systemd.service(5), systemd.syntax(7).

use super::definition::{Role, Service};

/// The file name of the unit.
pub(super) fn file(role: Role) -> String {
    format!("{}.service", name(role))
}

/// The commands that start the unit, now and at every login.
pub(super) fn start(role: Role) -> Vec<String> {
    let name = name(role);
    vec!["systemctl --user daemon-reload".to_owned(), format!("systemctl --user enable --now {name}")]
}

/// The commands that stop the unit after its file is removed.
pub(super) fn stop(role: Role) -> Vec<String> {
    let name = name(role);
    vec![format!("systemctl --user stop {name}"), "systemctl --user daemon-reload".to_owned()]
}

fn name(role: Role) -> String {
    format!("homing-{}", role.command())
}

/// The text of the unit.
pub(super) fn unit(service: &Service) -> String {
    let mut command = quoted(&service.program, Context::Program);
    for argument in &service.arguments {
        command.push(' ');
        command += &quoted(argument, Context::Argument);
    }
    let environment: String = service
        .environment
        .iter()
        .map(|(name, value)| {
            format!("Environment={}\n", quoted(&format!("{name}={value}"), Context::Assignment))
        })
        .collect();
    let (mark, description) = (service.role.mark(), service.role.description());
    let (name, role) = (name(service.role), service.role.command());
    // KillMode=process: sink programs end by themselves, and jobs are not children of the monitor. A monitor that
    // takes over waits for running sink programs. After SIGTERM a server ends with 143, which is no failure.
    format!(
        "\
# {mark}; homing {role} uninstall removes it.
# Change it with: systemctl --user edit {name}

[Unit]
Description={description}
Documentation=https://github.com/homing-jobs/homing

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
{environment}Restart=on-failure
RestartSec=5
SuccessExitStatus=143
KillMode=process
WatchdogSec=10min

[Install]
WantedBy=default.target
"
    )
}

/// The position of a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    /// First word of `ExecStart=`: systemd does not expand variables.
    Program,
    /// Further words of `ExecStart=`: systemd expands variables.
    Argument,
    /// Word of `Environment=`: systemd does not expand variables.
    Assignment,
}

/// Quotes a word so that systemd reads it back unchanged. Plain words need no quotes.
fn quoted(word: &str, context: Context) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if context != Context::Assignment && !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '%' => text += "%%",
            '$' if context == Context::Argument => text += "$$",
            '\n' => text += "\\n",
            '\t' => text += "\\t",
            c if c.is_ascii_control() => text += &format!("\\x{:02x}", u32::from(c)),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_text() {
        let service = Service {
            role: Role::Monitor,
            program: "/home/u/.local/bin/homing".to_owned(),
            arguments: ["monitor", "--command", "my agent", "--resume", "{session}", "100% \"$x\" \\"]
                .map(str::to_owned)
                .to_vec(),
            environment: [("PATH", "/usr/bin:/bin"), ("HOMING_HOME", "/home/u/my jobs")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            log: "/home/u/my jobs/monitor.log".to_owned(),
            user: None,
        };
        insta::assert_snapshot!(unit(&service));
    }

    #[test]
    fn quoting_preserves_words() {
        assert_eq!(quoted("/opt/a$b/homing", Context::Program), "\"/opt/a$b/homing\"");
        assert_eq!(quoted("a$b", Context::Argument), "\"a$$b\"");
        assert_eq!(quoted("", Context::Argument), "\"\"");
        assert_eq!(quoted(";", Context::Argument), "\";\"");
        assert_eq!(quoted("a\nb\u{7}ü", Context::Argument), "\"a\\nb\\x07ü\"");
    }
}
