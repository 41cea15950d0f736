//! The definition of the scheduled task of Windows. Does no I/O. Format: Task Scheduler Schema, version 1.2.

use std::fmt::Write as _;

use super::definition::{Role, Service};

/// The file name of the definition.
pub(super) fn file(role: Role) -> String {
    format!("homing-{}.xml", role.command())
}

/// The name of the task. All users of a machine share one folder of tasks, so it contains the number of the user: the last
/// part of the security identifier.
pub(super) fn name(role: Role, user: u32) -> String {
    format!("homing-{}-{user}", role.command())
}

/// The command that starts the registered task.
pub(super) fn start_command(name: &str) -> String {
    format!("schtasks.exe /Run /TN {name}")
}

/// The definition of the task. It starts when the user logs on, has no time limit, runs on battery too, and is started
/// again when it fails. The source is kept when the task is registered, unlike the comment, and shows later who wrote it.
///
/// The priority is that of other programs: without one, the monitor and the agents that it starts run below normal.
pub(super) fn definition(service: &Service) -> String {
    let user = match &service.user {
        Some(user) => format!("<UserId>{}</UserId>", escaped(user)),
        None => String::new(),
    };
    let (program, log) = (escaped(&quoted(&service.program)), quoted(&service.log));
    let arguments: Vec<String> = service.arguments.iter().map(|word| quoted(word)).collect();
    let (command, rest) =
        arguments.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    // Options of a monitor stand before the words of --command, which takes the rest of the line.
    let words = [command, "--log-file", &log].into_iter().chain(rest.iter().map(String::as_str));
    let arguments = escaped(&words.collect::<Vec<_>>().join(" "));
    let (mark, description) = (service.role.mark(), service.role.description());
    let role = service.role.command();
    // Every character that is not ASCII is written as a reference: then the encoding of the file does not matter, which
    // schtasks.exe and the definition could disagree about.
    format!(
        "\
<?xml version=\"1.0\"?>
<!-- {mark}; homing {role} uninstall removes it. -->
<Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">
  <RegistrationInfo>
    <Source>{mark}</Source>
    <Description>{description}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      {user}
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id=\"Author\">
      {user}
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Hidden>true</Hidden>
    <Priority>5</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context=\"Author\">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"
    )
}

/// Escapes a text for XML, in ASCII.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            c if c.is_ascii_graphic() || c == ' ' => escaped.push(c),
            // Writing to a string cannot fail.
            c => drop(write!(escaped, "&#x{:X};", u32::from(c))),
        }
    }
    escaped
}

/// Quotes an argument so that a program reads it back unchanged (CommandLineToArgvW): a backslash is special only before
/// a double quote.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && c != '"';
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    let mut backslashes = 0;
    for c in word.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                text.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        text.push(c);
    }
    text.extend(std::iter::repeat_n('\\', backslashes));
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_text() {
        let service = Service {
            role: Role::Monitor,
            program: r"C:\Users\Jürgen M\homing.exe".to_owned(),
            arguments: ["monitor", "--command", "my agent", "a & <b>"].map(str::to_owned).to_vec(),
            environment: Vec::new(),
            log: r"C:\Users\Jürgen M\AppData\Local\homing\monitor.log".to_owned(),
            user: Some(r"PC\Jürgen M".to_owned()),
        };
        insta::assert_snapshot!(definition(&service));
    }

    #[test]
    fn quoting_preserves_arguments() {
        for (word, expected) in [
            (r"C:\bin\x", r"C:\bin\x"),
            ("", r#""""#),
            ("a b", r#""a b""#),
            (r"C:\my dir\", r#""C:\my dir\\""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r#"a\"b"#, r#""a\\\"b""#),
        ] {
            assert_eq!(quoted(word), expected, "{word}");
        }
    }
}
