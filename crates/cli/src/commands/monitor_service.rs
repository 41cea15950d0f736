//! `homing monitor install` and `homing monitor uninstall`: the monitor as a service of the user's.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use homing::{CONFIG_VARIABLE, HOME_VARIABLE, Homing};
use serde::Serialize;

use crate::exit::{Failure, note_with_hint, say};
use crate::render::print_json;
use crate::service::{Manager, Removed, Service, Written, remove, write};
use crate::values::WakeCommand;

/// What the help of the command shows last.
const INSTALL_EXAMPLES: &str = "\
Examples:
  homing monitor install
  homing monitor install --command my-agent --resume {session}

The service gets the PATH of now, and HOMING_HOME, HOMING_CONFIG and the XDG directories where they are \
set. Nothing is started: the commands for that are printed.";

/// What the help of the command shows last.
const UNINSTALL_EXAMPLES: &str = "\
Examples:
  systemctl --user disable --now homing-monitor && homing monitor uninstall
  homing monitor uninstall --json

Stop the service first, as the first example does; otherwise it runs until it is stopped.";

/// What becomes of the service.
#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Writes a service that runs the monitor from now on: a systemd user unit, on macOS a launchd agent
    #[command(after_help = INSTALL_EXAMPLES)]
    Install(InstallArgs),
    /// Removes that service
    #[command(after_help = UNINSTALL_EXAMPLES)]
    Uninstall(UninstallArgs),
}

impl ServiceCommand {
    /// Whether the command answers in JSON.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            ServiceCommand::Install(args) => args.json,
            ServiceCommand::Uninstall(args) => args.json,
        }
    }

    /// Installs or removes the service.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        match self {
            ServiceCommand::Install(args) => install(args),
            ServiceCommand::Uninstall(args) => uninstall(args),
        }
    }
}

/// What the service is like.
#[derive(Debug, clap::Args)]
pub(super) struct InstallArgs {
    /// Replaces a file that homing did not write
    #[arg(long)]
    force: bool,
    /// Prints a document with the file and the commands to start it with
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    command: WakeCommand,
}

/// What is removed.
#[derive(Debug, clap::Args)]
pub(super) struct UninstallArgs {
    /// Removes a file that homing did not write, too
    #[arg(long)]
    force: bool,
    /// Prints a document with the file and the commands to stop it with
    #[arg(long)]
    json: bool,
}

/// Where an installed monitor writes its log, where the service manager keeps no journal.
const LOG: &str = "monitor.log";

/// Variables that decide where things are: the service needs those that are set.
const PLACES: [&str; 2] = ["XDG_STATE_HOME", "XDG_CONFIG_HOME"];

/// What was installed, for programs.
#[derive(Serialize)]
struct InstallDocument<'a> {
    path: &'a Path,
    replaced: bool,
    start: Vec<String>,
    hint: Option<&'static str>,
}

/// What was removed, for programs.
#[derive(Serialize)]
struct UninstallDocument<'a> {
    path: &'a Path,
    removed: bool,
    stop: Vec<String>,
}

/// Writes the service, and says how it is started.
fn install(args: &InstallArgs) -> Result<ExitCode, Failure> {
    let manager = Manager::of_this_system();
    // A home or a configuration that is wrong is told here, not by a service that will not start.
    let homing = Homing::open()?;
    if let Some(refusal) = homing.config_refusal() {
        return Err(homing::Error::ConfigRefused(refusal.clone()).into());
    }
    let (service, path) = (service(&homing, &args.command)?, path_for(manager)?);
    let written = write(&path, &manager.text(&service), args.force)?;
    let start = manager.start_commands(&path);
    if args.json {
        let replaced = written == Written::Replaced;
        print_json(&InstallDocument { path: &path, replaced, start, hint: manager.hint() })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut stdout = io::stdout().lock();
    let verb = match written {
        Written::New => "wrote",
        Written::Replaced => "replaced",
    };
    writeln!(stdout, "{verb} {}", path.display())?;
    writeln!(stdout, "start it: {}", start.join(" && "))?;
    if let Some(hint) = manager.hint() {
        writeln!(stdout, "hint: {hint}")?;
    }
    if args.command.words().is_none() && homing.config().sink_names().is_empty() {
        note_with_hint(
            "no sink is configured: it will wake nobody",
            "homing monitor install --command PROGRAM, or a sink in config.toml",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the service, and says how it is stopped.
fn uninstall(args: &UninstallArgs) -> Result<ExitCode, Failure> {
    let manager = Manager::of_this_system();
    let path = path_for(manager)?;
    let removed = remove(&path, args.force)?;
    if removed == Removed::Removed
        && let Some(link) = manager.enabling_link(&path)
        && link.is_symlink()
    {
        // It leads to nothing now. Where it stays, the service manager says so and goes on.
        let _ = std::fs::remove_file(link);
    }
    if args.json {
        let (removed, stop) = (removed == Removed::Removed, manager.stop_commands());
        print_json(&UninstallDocument { path: &path, removed, stop })?;
        return Ok(ExitCode::SUCCESS);
    }
    match removed {
        Removed::NothingThere => say(&format!("nothing to remove: there is no {}", path.display())),
        Removed::Removed => {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "removed {}", path.display())?;
            writeln!(stdout, "if it still runs, stop it: {}", manager.stop_commands().join(" && "))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path_for(manager: Manager) -> Result<PathBuf, Failure> {
    manager.path().ok_or_else(|| Failure::Refused {
        code: "service",
        message: "no home directory is known, so there is no place for a service".to_owned(),
        hint: None,
    })
}

/// What the service runs: this program, as it would run from here.
fn service(homing: &Homing, command: &WakeCommand) -> Result<Service, Failure> {
    let program = this_program().map_err(Failure::Write)?;
    let mut arguments = vec!["monitor".to_owned()];
    if let Some(words) = command.words() {
        arguments.push("--command".to_owned());
        let (program, rest) = words.split_first().expect("the parser asks for one word at least");
        // A service does not run in the current directory.
        let program = if program.contains('/') {
            readable(std::path::absolute(program)?.into())?
        } else {
            program.clone()
        };
        arguments.push(program);
        arguments.extend_from_slice(rest);
    }
    let mut environment = Vec::new();
    let mut take = |name: &str, value: OsString| -> Result<(), Failure> {
        environment.push((name.to_owned(), readable(value)?));
        Ok(())
    };
    for name in ["PATH"].into_iter().chain(PLACES) {
        if let Some(value) = set(name) {
            take(name, value)?;
        }
    }
    if set(HOME_VARIABLE).is_some() {
        take(HOME_VARIABLE, std::path::absolute(homing.home_path())?.into_os_string())?;
    }
    if let Some(config) = set(CONFIG_VARIABLE) {
        take(CONFIG_VARIABLE, std::path::absolute(config)?.into_os_string())?;
    }
    let log = readable(homing.home_path().join(LOG).into_os_string())?;
    Ok(Service { program: readable(program.into_os_string())?, arguments, environment, log })
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// This program by the path at which an update will put the next one: as `PATH` has it, where that leads here.
fn this_program() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("homing"))
        .find(|candidate| candidate.canonicalize().is_ok_and(|found| found == program));
    Ok(in_path.unwrap_or(program))
}

/// Files of services hold text.
fn readable(value: OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| Failure::Refused {
        code: "service",
        message: format!("{} is not UTF-8, and cannot stand in a service's file", value.to_string_lossy()),
        hint: None,
    })
}
