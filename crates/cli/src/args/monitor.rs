//! The arguments of `monitor`, and of what makes it a service.

use clap::Subcommand;

/// How the monitor works.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct MonitorArgs {
    #[command(subcommand)]
    pub(crate) service: Option<ServiceCommand>,
    /// Tells what is due now, and ends
    #[arg(long)]
    pub(crate) once: bool,
    /// Prints every event as a document, one a line, on standard output; without this, a log on standard error
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) command: WakeCommand,
}

/// A way to wake that needs no configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct WakeCommand {
    /// Starts this program for every wake, of whatever session, with the wake as JSON on its standard input; comes last
    #[arg(long = "command", value_name = "PROGRAM ARG", num_args = 1.., allow_hyphen_values = true)]
    words: Option<Vec<String>>,
}

/// What becomes of the service.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Writes a service that runs the monitor from now on: a systemd user unit, on macOS a launchd agent
    #[command(after_help = super::examples::MONITOR_INSTALL)]
    Install(InstallArgs),
    /// Removes that service
    #[command(after_help = super::examples::MONITOR_UNINSTALL)]
    Uninstall(UninstallArgs),
}

/// What the service is like.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    /// Replaces a file that homing did not write
    #[arg(long)]
    pub(crate) force: bool,
    /// Prints a document with the file and the commands to start it with
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) command: WakeCommand,
}

/// What is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct UninstallArgs {
    /// Removes a file that homing did not write, too
    #[arg(long)]
    pub(crate) force: bool,
    /// Prints a document with the file and the commands to stop it with
    #[arg(long)]
    pub(crate) json: bool,
}

impl MonitorArgs {
    /// Whether the answer is to be JSON.
    pub(super) fn wants_json(&self) -> bool {
        match &self.service {
            None => self.json,
            Some(ServiceCommand::Install(args)) => args.json,
            Some(ServiceCommand::Uninstall(args)) => args.json,
        }
    }
}

impl WakeCommand {
    /// The program and its arguments, where one was given.
    pub(crate) fn words(&self) -> Option<&[String]> {
        let words = self.words.as_deref()?;
        // All that follows is the command anyway; whoever marks its beginning means the same.
        Some(match words {
            [mark, rest @ ..] if mark == "--" && !rest.is_empty() => rest,
            words => words,
        })
    }
}
