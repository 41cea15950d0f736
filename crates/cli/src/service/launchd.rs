//! The text of the launchd agent. Does no I/O. Format: launchd.plist(5).

use super::definition::{Role, Service};

/// The label of the service.
pub(super) fn label(role: Role) -> String {
    format!("io.github.homing-jobs.{}", role.command())
}

/// The file name of the agent.
pub(super) fn file(role: Role) -> String {
    format!("{}.plist", label(role))
}

/// The text of the agent.
pub(super) fn agent(service: &Service) -> String {
    let words: String = std::iter::once(&service.program)
        .chain(&service.arguments)
        .map(|word| format!("    <string>{}</string>\n", escaped(word)))
        .collect();
    let environment: String = service
        .environment
        .iter()
        .map(|(name, value)| {
            format!("    <key>{}</key>\n    <string>{}</string>\n", escaped(name), escaped(value))
        })
        .collect();
    let (log, label) = (escaped(&service.log), label(service.role));
    let (mark, role) = (service.role.mark(), service.role.command());
    format!(
        "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<!-- {mark}; homing {role} uninstall removes it. -->
<plist version=\"1.0\">
<dict>
  <key>Label</key>
  <string>{label}</string>
  <key>ProgramArguments</key>
  <array>
{words}  </array>
  <key>EnvironmentVariables</key>
  <dict>
{environment}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>5</integer>
  <key>AbandonProcessGroup</key>
  <true/>
  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_text() {
        let service = Service {
            role: Role::Monitor,
            program: "/opt/homebrew/bin/homing".to_owned(),
            arguments: ["monitor", "--command", "a & <b>"].map(str::to_owned).to_vec(),
            environment: vec![("PATH".to_owned(), "/opt/homebrew/bin:/usr/bin".to_owned())],
            log: "/Users/u/.local/state/homing/monitor.log".to_owned(),
            user: None,
        };
        insta::assert_snapshot!(agent(&service));
    }
}
