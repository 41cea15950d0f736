//! The shell that runs the script of a job, and the file that the script is written to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The bytes with which Windows PowerShell 5.1 recognises a script in UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Makes PowerShell exit as the last command of the script did, like other shells. By itself, PowerShell exits with 0
/// at the end of a script (about_PowerShell_exe, `-File`).
const POWERSHELL_END: &str = "if (-not $?) { if ($LASTEXITCODE) { exit $LASTEXITCODE } else { exit 1 } }\n";

/// A shell that runs scripts. Which of them a machine has depends on its system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// `bash`, or `sh` if `bash` is not installed. On Windows the one of Git for Windows.
    #[default]
    Bash,
    /// `cmd.exe`, on Windows.
    Cmd,
    /// Windows PowerShell, or PowerShell (`pwsh`).
    PowerShell,
}

impl Shell {
    /// All shells.
    pub const ALL: [Shell; 3] = [Shell::Bash, Shell::Cmd, Shell::PowerShell];

    /// Whether it is `bash`, the shell of documents that name none.
    pub fn is_bash(&self) -> bool {
        *self == Shell::Bash
    }

    /// Returns its name in JSON, in the configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Cmd => "cmd",
            Shell::PowerShell => "powershell",
        }
    }

    /// Returns the name of the file with the script. PowerShell and `cmd` run only files with a certain ending.
    pub fn script_name(self) -> &'static str {
        match self {
            Shell::Bash => "command.sh",
            Shell::Cmd => "command.cmd",
            Shell::PowerShell => "command.ps1",
        }
    }

    /// Returns the content of the file with this script: the text in the encoding and with the line ends that the shell
    /// reads. `cmd` does not print each command before it runs it, as in its other uses.
    pub fn script_bytes(self, text: &str) -> Vec<u8> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        match self {
            Shell::Bash => format!("{text}{end}").into_bytes(),
            Shell::Cmd => {
                let text = format!("@echo off\n{text}{end}");
                text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
            }
            Shell::PowerShell => format!("{BYTE_ORDER_MARK}{text}{end}{POWERSHELL_END}").into_bytes(),
        }
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a name is not the name of a shell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a shell; use bash, cmd or powershell")]
pub struct ShellError(String);

impl FromStr for Shell {
    type Err = ShellError;

    fn from_str(name: &str) -> Result<Shell, ShellError> {
        let found = Shell::ALL.into_iter().find(|shell| shell.as_str() == name);
        found.ok_or_else(|| ShellError(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_json_and_on_the_command_line() {
        for shell in Shell::ALL {
            assert_eq!(shell.as_str().parse(), Ok(shell));
            assert_eq!(serde_json::to_value(shell).unwrap(), shell.as_str());
        }
        let error = "zsh".parse::<Shell>().unwrap_err();
        assert_eq!(error.to_string(), "\"zsh\" is not a shell; use bash, cmd or powershell");
    }

    #[test]
    fn a_script_is_written_as_its_shell_reads_it() {
        let bytes = |shell: Shell, text| String::from_utf8(shell.script_bytes(text)).unwrap();
        assert_eq!(bytes(Shell::Bash, "echo ü"), "echo ü\n");
        assert_eq!(bytes(Shell::Bash, "echo a\n"), "echo a\n");
        assert_eq!(bytes(Shell::Cmd, "dir\r\nver\n"), "@echo off\r\ndir\r\nver\r\n");
        let powershell = bytes(Shell::PowerShell, "Get-Item x");
        assert!(powershell.starts_with("\u{feff}Get-Item x\nif (-not $?)"), "{powershell}");
    }
}
