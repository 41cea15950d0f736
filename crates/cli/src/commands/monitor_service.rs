//! `homing monitor install` and `homing monitor uninstall`: the monitor as a user service.

use std::process::ExitCode;

use clap::Subcommand;
use homing_supervisor::platform::paths::is_one_name;

use super::service_file::{self, Handling, utf8};
use crate::exit::Failure;
use crate::render::note_with_hint;
use crate::service::Role;
use crate::values::WakeCommand;

/// The end of the help text of `install`.
const INSTALL_EXAMPLES: &str = "\
Examples:
  homing monitor install
  homing monitor install --command my-agent --resume {session}

The service uses the current PATH, and if they are set: HOMING_HOME, HOMING_CONFIG, the XDG directories, the \
directories of agent harnesses (such as CLAUDE_CONFIG_DIR and CODEX_HOME), SSL_CERT_FILE and SSL_CERT_DIR; on Windows, \
the variables of your account instead. \
The command does not start the service; it prints the commands that do. On Windows it registers the scheduled task, \
which then starts at every logon.";

/// The end of the help text of `uninstall`.
const UNINSTALL_EXAMPLES: &str = "\
Examples:
  systemctl --user disable --now homing-monitor && homing monitor uninstall
  homing monitor uninstall --json

Stop the service first, as in the first example; otherwise it keeps running. On Windows, the command stops and \
removes the scheduled task itself.";

/// The service commands.
#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Install the monitor as a user service: a systemd unit, a launchd agent on macOS, or a scheduled task on Windows
    #[command(after_help = INSTALL_EXAMPLES)]
    Install(InstallArgs),
    /// Remove the service
    #[command(after_help = UNINSTALL_EXAMPLES)]
    Uninstall(Handling),
}

impl ServiceCommand {
    /// Whether the command prints JSON.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            ServiceCommand::Install(args) => args.handling.json,
            ServiceCommand::Uninstall(args) => args.json,
        }
    }

    /// Installs or removes the service.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        match self {
            ServiceCommand::Install(args) => install(args)?,
            ServiceCommand::Uninstall(args) => service_file::uninstall(Role::Monitor, args)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How to install the service.
#[derive(Debug, clap::Args)]
pub(super) struct InstallArgs {
    #[command(flatten)]
    handling: Handling,
    #[command(flatten)]
    command: WakeCommand,
}

/// Installs the monitor as a service, and warns if it will deliver nothing.
fn install(args: &InstallArgs) -> Result<(), Failure> {
    let mut arguments = Vec::new();
    if let Some(words) = args.command.words() {
        arguments.push("--command".to_owned());
        let (program, rest) = words.split_first().expect("the parser requires at least one word");
        // A service does not run in the current directory, so make the path absolute.
        let program =
            if is_one_name(program) { program.clone() } else { utf8(std::path::absolute(program)?.into())? };
        arguments.push(program);
        arguments.extend_from_slice(rest);
    }
    let homing = service_file::install(Role::Monitor, arguments, &args.handling)?;
    if !args.handling.json && args.command.words().is_none() && homing.config().sink_names().is_empty() {
        note_with_hint(
            "no sink is configured, so the service delivers nothing",
            "run homing monitor install --command PROGRAM, or add a sink to config.toml",
        );
    }
    Ok(())
}
