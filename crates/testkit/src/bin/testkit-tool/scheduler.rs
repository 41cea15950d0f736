//! A Task Scheduler in a folder, with the commands of `schtasks.exe` that homing uses. Wine has some of them, and a test must
//! not change the tasks of the user who runs it.
//!
//! Files beside the program: `NAME.xml` is the definition of a task, `NAME.pid` names its process, and each line of
//! `refused` has a command and the message with which it fails.

use std::fs;
use std::io::{self, Write};
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The message of `schtasks.exe` about a task that does not exist.
const NO_SUCH_TASK: &str = "ERROR: The system cannot find the file specified.";

/// CREATE_NO_WINDOW and CREATE_NEW_PROCESS_GROUP (process creation flags of CreateProcessW).
const IN_BACKGROUND: u32 = 0x0800_0000 | 0x0000_0200;

pub(crate) struct Scheduler {
    folder: PathBuf,
}

impl Scheduler {
    /// The Task Scheduler, if this program has its name.
    pub(crate) fn of_this_program() -> Option<Scheduler> {
        let program = std::env::current_exe().ok()?;
        let is_one = program.file_stem()?.eq_ignore_ascii_case("schtasks");
        is_one.then_some(Scheduler { folder: program.parent()?.to_owned() })
    }

    /// Performs a command.
    pub(crate) fn perform(&self, words: &[String]) -> ExitCode {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = words.first().copied().unwrap_or_default();
        let refused = fs::read_to_string(self.folder.join("refused")).unwrap_or_default();
        let message = refused.lines().find_map(|line| line.strip_prefix(command)?.strip_prefix(' '));
        let result = match message {
            Some(message) => Err(io::Error::other(message.to_owned())),
            None => self.act(&words),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                ExitCode::FAILURE
            }
        }
    }

    fn act(&self, words: &[&str]) -> io::Result<()> {
        match words {
            ["/Query", "/FO", "CSV", "/NH"] => Ok(()),
            ["/Query", "/TN", name, "/XML"] => {
                // The real one keeps no comments.
                let definition = self.definition(name)?;
                let mut kept = definition.lines().filter(|line| !line.starts_with("<!--"));
                kept.try_for_each(|line| writeln!(io::stdout(), "{line}"))
            }
            ["/Create", "/TN", name, "/F", "/XML", file] => {
                fs::copy(file, self.file(name, "xml")).map(|_| ())
            }
            ["/Run", "/TN", name] => {
                let process = started(&self.definition(name)?)?;
                fs::write(self.file(name, "pid"), process.to_string())
            }
            ["/End", "/TN", name] => {
                let pid = fs::read_to_string(self.file(name, "pid"))?;
                testkit::kill(pid.parse().map_err(io::Error::other)?);
                fs::remove_file(self.file(name, "pid"))
            }
            ["/Delete", "/TN", name, "/F"] => {
                self.definition(name)?;
                fs::remove_file(self.file(name, "xml"))
            }
            _ => Err(io::Error::other("ERROR: Invalid syntax.")),
        }
    }

    fn definition(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.file(name, "xml")).map_err(|_| io::Error::other(NO_SUCH_TASK))
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }
}

/// Starts the program of a definition, and returns its process id.
fn started(definition: &str) -> io::Result<u32> {
    let (program, arguments) = (element(definition, "Command")?, element(definition, "Arguments")?);
    let mut command = Command::new(Path::new(program.trim_matches('"')));
    command.raw_arg(arguments).creation_flags(IN_BACKGROUND);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.spawn()?.id())
}

/// The text of the first element with this name.
fn element(definition: &str, name: &str) -> io::Result<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let text =
        definition.split_once(&start).and_then(|(_, rest)| rest.split_once(&end)).map(|(text, _)| text);
    let text = text.ok_or_else(|| io::Error::other(format!("ERROR: The task XML is malformed: {name}")))?;
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (reference, rest) = part.split_once(';').unwrap_or((part, ""));
        plain.push(match reference {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            number => {
                let code = number.strip_prefix("#x").and_then(|code| u32::from_str_radix(code, 16).ok());
                code.and_then(char::from_u32)
                    .ok_or_else(|| io::Error::other("ERROR: The task XML is malformed."))?
            }
        });
        plain += rest;
    }
    Ok(plain)
}
