//! Copies this program to the machine of an executor.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Output, Stdio};

use homing_core::text::flatten;
use homing_supervisor::DiskError;

use super::ended::Ended;
use super::health::note_copied_program;
use super::ssh::{expanded, ssh};
use crate::context::Context;
use crate::store::program::supervisor_program;
use crate::{Error, Result};

/// The directory of copies there.
const COPIES: &str = "~/.cache/homing";

/// A program that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopiedProgram {
    /// Its path there, below `~`.
    pub path: String,
    /// What it says about its version.
    pub version: String,
    /// Whether it was copied now. If not, it was there already.
    pub is_new: bool,
}

impl Context {
    /// Copies this program to an executor and checks that it runs there.
    ///
    /// # Errors
    /// If the machine cannot be reached, is of another kind than this one, or does not run the program.
    pub(crate) fn set_up_executor(&self, executor: &str) -> Result<CopiedProgram> {
        let config = self.executor(executor)?;
        let refused = |message: String, hint: &str| Error::ExecutorRefused {
            executor: executor.to_owned(),
            message,
            hint: Some(hint.to_owned()),
        };
        let run = |script: &str, input: Option<File>| -> Result<Output> {
            let mut command: Command = ssh(config, script);
            command.stdin(input.map_or_else(Stdio::null, Stdio::from));
            let output = command.output().map_err(|error| {
                Ended::noticed(format!("cannot start ssh: {error}")).into_error(executor, &config.ssh)
            })?;
            if output.status.success() {
                return Ok(output);
            }
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let ended = Ended { stderr, ..Ended::default() }.with_status(Some(output.status));
            Err(ended.into_error(executor, &config.ssh))
        };
        let program = supervisor_program(self.store.supervisor.as_deref())?;
        let (there, here) = (first_line(&run("uname -sm", None)?), kind_of_this_machine());
        if there != here {
            return Err(refused(
                format!("it is {there}, and this program is for {here}"),
                "install homing there, and name it with program = \"/path/to/homing\" if it is not in PATH",
            ));
        }
        let failed = |error| DiskError::new("read", &program, error);
        let hash = hash_of(File::open(&program).map_err(failed)?).map_err(failed)?;
        let (directory, path) = (format!("{COPIES}/{hash}"), format!("{COPIES}/{hash}/homing"));
        let (into, to) = (expanded(&directory), expanded(&path));
        let is_there = !run(&format!("test -x {to} && echo yes; true"), None)?.stdout.is_empty();
        if !is_there {
            // The name appears when the copy is complete.
            let script = format!(
                "umask 077; mkdir -p {into} && cat > {to}.$$ && chmod 700 {to}.$$ && mv {to}.$$ {to}"
            );
            run(&script, Some(File::open(&program).map_err(failed)?))?;
        }
        let version = first_line(&run(&format!("{to} --version"), None)?);
        note_copied_program(&self.store.home.root, executor, &path)?;
        Ok(CopiedProgram { path, version, is_new: !is_there })
    }
}

/// The kind of this machine, as `uname -sm` names it.
fn kind_of_this_machine() -> String {
    let system = match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        other => other,
    };
    let processor = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "arm64",
        (_, other) => other,
    };
    format!("{system} {processor}")
}

fn first_line(output: &Output) -> String {
    flatten(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim())
}

/// The beginning of the SHA-256 of a file, in hexadecimal digits.
fn hash_of(mut file: File) -> std::io::Result<String> {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hash.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
