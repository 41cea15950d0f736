//! How what we have added is known again: by the program and what it is to do, wherever the program lies.

use std::path::{Path, PathBuf};

/// In files that are ours alone, where they have room for it.
pub(super) const MARK: &str = "Written by homing setup";

/// The other one: a hook that calls us.
const HOOK: &str = " hook goose";

/// The keys that say what a server starts. By these an entry is ours, whatever the user has added to it or set otherwise.
pub(super) const STARTS: [&str; 3] = ["command", "cmd", "args"];

/// What is said of an entry that is left, because it starts something else.
pub(super) const CHANGED: &str = "which does not start what homing setup wrote";

/// homing, as a harness is to call it.
#[derive(Clone, Debug)]
pub(crate) struct Program(String);

impl Program {
    /// By its name where `PATH` finds this very program by it, otherwise by its path.
    pub(crate) fn this() -> std::io::Result<Program> {
        let this = std::env::current_exe()?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let first =
            std::env::split_paths(&path).map(|folder| folder.join("homing")).find(|path| path.is_file());
        let by_name = first.and_then(|first| first.canonicalize().ok()) == this.canonicalize().ok();
        Ok(if by_name { Program::named("homing") } else { Program(readable(this)?) })
    }

    pub(crate) fn named(name: &str) -> Program {
        Program(name.to_owned())
    }

    /// As a program that is started without a shell.
    pub(super) fn word(&self) -> &str {
        &self.0
    }

    /// A command line for a shell.
    pub(super) fn shell(&self, arguments: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '+');
        match self.0.chars().all(is_plain) {
            true => format!("{} {arguments}", self.0),
            false => format!("'{}' {arguments}", self.0.replace('\'', r"'\''")),
        }
    }
}

fn readable(path: PathBuf) -> std::io::Result<String> {
    path.into_os_string()
        .into_string()
        .map_err(|path| std::io::Error::other(format!("the path of homing is no text: {}", path.display())))
}

/// A text of a configuration, with the path of the program taken out.
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

/// Whether a command line of a configuration calls a hook of ours, in whatever way.
pub(super) fn calls_hook(command: &str) -> bool {
    command.contains("homing") && command.contains(" hook ")
}

/// Whether a file is one that we wrote.
pub(super) fn is_our_file(text: &str) -> bool {
    text.contains(MARK) || text.contains(HOOK)
}

/// Whether two texts are the same but for the path of the program in quotes.
pub(super) fn same_but_program(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.split('"').map(without_path).collect::<Vec<_>>().join("\"");
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_wherever_it_lies() {
        for program in ["homing", "/opt/bin/homing", "/home/o'neil/my tools/homing"] {
            let program = Program::named(program);
            assert_eq!(without_path(program.word()), "homing");
            assert_eq!(without_path(&program.shell("hook codex --wait")), "homing hook codex --wait");
        }
        for other in ["homing-pigeon hook codex", "/bin/true", "echo homing", "run homing hook codex"] {
            assert_eq!(without_path(other), other);
        }
    }
}
