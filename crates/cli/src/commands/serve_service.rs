//! `homing serve install` and `homing serve uninstall`: the server as a user service.

use std::process::ExitCode;

use clap::Subcommand;

use super::server_args::ServerArgs;
use super::service_file::{self, Handling};
use crate::exit::Failure;
use crate::service::Role;

/// The end of the help text of `install`.
const INSTALL_EXAMPLES: &str = "\
Examples:
  homing serve install
  homing serve install --listen --monitor
  homing serve install --listen --base-path /homing --allow-host jobs.example.com

The service uses the same environment as that of homing monitor install, and the other options of this command line. \
Without --listen, it listens only on its socket. The command does not start the service; it prints the commands that \
do. On Windows it registers the scheduled task, which then starts at every logon.";

/// The end of the help text of `uninstall`.
const UNINSTALL_EXAMPLES: &str = "\
Examples:
  systemctl --user disable --now homing-serve && homing serve uninstall
  homing serve uninstall --json

Stop the service first, as in the first example; otherwise it keeps running. Jobs keep running in any case.";

/// The service commands.
#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Install the server as a user service: a systemd unit, a launchd agent on macOS, or a scheduled task on Windows
    #[command(after_help = INSTALL_EXAMPLES)]
    Install(InstallArgs),
    /// Remove the service
    #[command(after_help = UNINSTALL_EXAMPLES)]
    Uninstall(Handling),
}

/// How to install the service.
#[derive(Debug, clap::Args)]
pub(super) struct InstallArgs {
    #[command(flatten)]
    handling: Handling,
    #[command(flatten)]
    server: ServerArgs,
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
            ServiceCommand::Install(args) => {
                service_file::install(Role::Server, args.server.words(), &args.handling)?;
            }
            ServiceCommand::Uninstall(args) => service_file::uninstall(Role::Server, args)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
