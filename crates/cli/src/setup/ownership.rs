//! The program in the files of harnesses. Recognizes entries that homing setup wrote: by the program and its arguments, wherever the program is installed.

use std::path::{Path, PathBuf};

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
        let path = std::env::var_os("PATH").unwrap_or_default();
        let first =
            std::env::split_paths(&path).map(|folder| folder.join("homing")).find(|path| path.is_file());
        let by_name = first.and_then(|first| first.canonicalize().ok()) == this.canonicalize().ok();
        Ok(if by_name { Program::named("homing") } else { Program(into_utf8(this)?) })
    }

    pub(crate) fn named(name: &str) -> Program {
        Program(name.to_owned())
    }

    /// Puts the program into a text, as described by [`homing::harness::Setup`], without escapes.
    pub(super) fn fill(&self, text: &str) -> String {
        put_in(text, &self.quoted(), &self.0)
    }

    /// Puts the program into a text, escaped as in a JSON string.
    pub(super) fn fill_json(&self, text: &str) -> String {
        let escape = |word: &str| {
            let quoted = serde_json::Value::from(word).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        put_in(text, &escape(&self.quoted()), &escape(&self.0))
    }

    /// The program, quoted for a shell.
    fn quoted(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '+');
        match self.0.chars().all(is_plain) {
            true => self.0.clone(),
            false => format!("'{}'", self.0.replace('\'', r"'\''")),
        }
    }
}

fn put_in(text: &str, shell_program: &str, program: &str) -> String {
    text.replace("{shell_program}", shell_program).replace("{program}", program)
}

fn into_utf8(path: PathBuf) -> std::io::Result<String> {
    path.into_os_string()
        .into_string()
        .map_err(|path| std::io::Error::other(format!("the path of homing is not UTF-8: {}", path.display())))
}

/// A string of a configuration without the path of the program.
pub(super) fn without_path(text: &str) -> String {
    let is_homing = |word: &str| {
        let word = word.trim_matches('\'').replace(r"'\''", "'");
        Path::new(&word).file_name().is_some_and(|name| name == "homing")
    };
    match text.split_once(" hook ") {
        Some((program, rest)) if is_homing(program) => format!("homing hook {rest}"),
        None if is_homing(text) => "homing".to_owned(),
        Some(_) | None => text.to_owned(),
    }
}

/// Whether a command line calls a hook of homing.
pub(super) fn calls_hook(command: &str) -> bool {
    command.contains("homing") && command.contains(" hook ")
}

/// Whether two texts are equal except for the quoted path of the program.
pub(super) fn same_but_program(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.split('"').map(without_path).collect::<Vec<_>>().join("\"");
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
}
