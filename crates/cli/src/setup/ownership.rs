//! The program in the files of harnesses. Recognizes entries that homing setup wrote: by the program and its arguments, wherever the program is installed.

use std::path::PathBuf;

use homing_supervisor::platform::paths::find_program;

/// The name of the program.
const NAME: &str = "homing";

/// The keys that state what a server starts. They decide whether homing owns an entry, whatever else the user
/// changed.
pub(super) const STARTS: [&str; 3] = ["command", "cmd", "args"];

/// Describes an entry that is kept because it starts something else.
pub(super) const CHANGED: &str = "which starts something else than homing setup wrote";

/// The command by which a harness calls homing.
#[derive(Clone, Debug)]
pub(crate) struct Program(String);

impl Program {
    /// The name if `PATH` finds this program by it, otherwise its path.
    pub(crate) fn this() -> std::io::Result<Program> {
        let this = std::env::current_exe()?;
        let first = find_program(NAME);
        let by_name = first.and_then(|first| first.canonicalize().ok()) == this.canonicalize().ok();
        Ok(if by_name { Program::named(NAME) } else { Program(into_utf8(this)?) })
    }

    pub(crate) fn named(name: &str) -> Program {
        Program(name.to_owned())
    }

    /// Puts the program into a text, as described by [`homing::harness::Setup`], without escapes.
    pub(super) fn fill(&self, text: &str) -> String {
        self.put_in(text, str::to_owned)
    }

    /// Puts the program into a text, escaped as in a JSON string.
    pub(super) fn fill_json(&self, text: &str) -> String {
        self.put_in(text, |word| {
            let quoted = serde_json::Value::from(word).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        })
    }

    fn put_in(&self, text: &str, escape: impl Fn(&str) -> String) -> String {
        let quoted = [
            ("{shell_program}", HookShell::Posix),
            ("{cmd_program}", HookShell::Cmd),
            ("{powershell_program}", HookShell::PowerShell),
        ];
        let text = quoted.into_iter().fold(text.to_owned(), |text, (place, shell)| {
            if text.contains(place) { text.replace(place, &escape(&self.quoted(shell))) } else { text }
        });
        text.replace("{program}", &escape(&self.0))
    }

    /// The program, quoted for a shell. A path of Windows gets slashes for shells that read backslashes as escapes; a
    /// plain one then works in all shells.
    fn quoted(&self, shell: HookShell) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '+');
        let shell = if self.is_path_of_windows() { shell } else { HookShell::Posix };
        match shell {
            _ if self.0.chars().all(is_plain) => self.0.clone(),
            HookShell::Posix | HookShell::PowerShell if self.is_path_of_windows() => {
                let path = self.0.replace('\\', "/");
                let quoted = match path.chars().all(|c| is_plain(c) || c == ':') {
                    true => return path,
                    false if shell == HookShell::Posix => path.replace('\'', r"'\''"),
                    false => path.replace('\'', "''"),
                };
                let call = if shell == HookShell::PowerShell { "& " } else { "" };
                format!("{call}'{quoted}'")
            }
            // Codex escapes double quotes in a way that `cmd.exe` does not read, so a plain path has none. A name of a file
            // cannot contain one.
            HookShell::Cmd if self.0.chars().all(|c| is_plain(c) || matches!(c, ':' | '\\')) => {
                self.0.clone()
            }
            HookShell::Cmd => format!("\"{}\"", self.0),
            HookShell::Posix | HookShell::PowerShell => format!("'{}'", self.0.replace('\'', r"'\''")),
        }
    }

    /// Whether it is an absolute path of Windows, such as `C:\bin\homing.exe`.
    fn is_path_of_windows(&self) -> bool {
        self.0.starts_with(r"\\") || self.0.as_bytes().get(1) == Some(&b':')
    }
}

/// The shell in which a harness runs hooks on Windows. On other systems it is a POSIX shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HookShell {
    /// Git Bash.
    Posix,
    /// `cmd.exe`.
    Cmd,
    /// PowerShell.
    PowerShell,
}

fn into_utf8(path: PathBuf) -> std::io::Result<String> {
    path.into_os_string()
        .into_string()
        .map_err(|path| std::io::Error::other(format!("the path of homing is not UTF-8: {}", path.display())))
}

/// A string of a configuration without the path of the program.
pub(super) fn without_path(text: &str) -> String {
    match text.split_once(" hook ") {
        Some((program, rest)) if is_homing(program) => format!("homing hook {rest}"),
        None if is_homing(text) => "homing".to_owned(),
        Some(_) | None => text.to_owned(),
    }
}

/// Whether a word, quoted for a shell, is the program.
fn is_homing(word: &str) -> bool {
    let word = word.strip_prefix("& ").unwrap_or(word);
    let word = word.trim_matches(['\'', '"']).replace(r"'\''", "'");
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    [NAME, "homing.exe"].contains(&name)
}

/// Whether a command line calls a hook of homing.
pub(super) fn calls_hook(command: &str) -> bool {
    command.contains("homing") && command.contains(" hook ")
}

/// Whether two texts are equal except for the quoted path of the program.
pub(super) fn same_but_program(one: &str, other: &str) -> bool {
    // The quotes that `cmd.exe` needs are escaped in JSON.
    let unescaped = |text: &str| {
        if text.contains("homing.exe") { text.replace("\\\"", "'") } else { text.to_owned() }
    };
    let bare = |text: &str| unescaped(text).split('"').map(without_path).collect::<Vec<_>>().join("\"");
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homing_is_recognized_wherever_it_is_installed() {
        for program in ["homing", "/opt/bin/homing", "/home/o'neil/my tools/homing"] {
            let program = Program::named(program);
            assert_eq!(without_path(&program.fill("{program}")), "homing");
            assert_eq!(
                without_path(&program.fill("{shell_program} hook codex --wait")),
                "homing hook codex --wait"
            );
        }
        for other in ["homing-pigeon hook codex", "/bin/true", "echo homing", "run homing hook codex"] {
            assert_eq!(without_path(other), other);
        }
    }

    #[test]
    fn a_path_of_windows_is_quoted_for_the_shell_of_the_hook() {
        let filled = |program: &str| {
            let program = Program::named(program);
            ["{shell_program}", "{cmd_program}", "{powershell_program}"].map(|place| program.fill(place))
        };
        assert_eq!(filled("homing"), ["homing"; 3]);
        let plain = "C:/bin/homing.exe";
        assert_eq!(filled(r"C:\bin\homing.exe"), [plain, r"C:\bin\homing.exe", plain]);
        assert_eq!(
            filled(r"C:\Program Files\o'neil\homing.exe"),
            [
                r"'C:/Program Files/o'\''neil/homing.exe'",
                r#""C:\Program Files\o'neil\homing.exe""#,
                "& 'C:/Program Files/o''neil/homing.exe'"
            ]
        );
        let hook = r#"{"command": "{cmd_program} hook codex"}"#;
        let json = Program::named(r"C:\a b\homing.exe").fill_json(hook);
        assert_eq!(json, r#"{"command": "\"C:\\a b\\homing.exe\" hook codex"}"#);
        assert!(same_but_program(&json, &Program::named(r"C:\bin\homing.exe").fill_json(hook)));
        assert!(same_but_program(&json, &Program::named(r"D:\my tools\homing.exe").fill_json(hook)));
        for place in ["{shell_program}", "{cmd_program}", "{powershell_program}"] {
            let command = Program::named(r"C:\a b\homing.exe").fill(place) + " hook x";
            assert_eq!(without_path(&command), "homing hook x");
        }
    }
}
