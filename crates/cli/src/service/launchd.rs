//! The text of the launchd agent. Does no I/O. Format: launchd.plist(5).

use super::{MARK, Service};

/// The label of the service.
pub(super) const LABEL: &str = "io.github.homing-jobs.monitor";

/// The file name of the agent.
pub(super) const FILE: &str = "io.github.homing-jobs.monitor.plist";

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
    let log = escaped(&service.log);
    format!(
        "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<!-- {MARK}; homing monitor uninstall removes it. -->
<plist version=\"1.0\">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
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
            program: "/opt/homebrew/bin/homing".to_owned(),
            arguments: ["monitor", "--command", "a & <b>"].map(str::to_owned).to_vec(),
            environment: vec![("PATH".to_owned(), "/opt/homebrew/bin:/usr/bin".to_owned())],
            log: "/Users/u/.local/state/homing/monitor.log".to_owned(),
            user: None,
        };
        insta::assert_snapshot!(agent(&service));
    }
}
