//! `homing monitor install` and `homing monitor uninstall`: the monitor as a user service.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use homing::{CONFIG_VARIABLE, HOME_VARIABLE, Homing};
use homing_supervisor::platform::paths::{find_programs, is_one_name};
use serde::Serialize;

use crate::exit::Failure;
use crate::render::{note_with_hint, print_json, say};
use crate::service::{Manager, Removed, Service, Written, check_owned, remove, stage};
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
    Uninstall(UninstallArgs),
}

impl ServiceCommand {
    /// Whether the command prints JSON.
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

/// How to install the service.
#[derive(Debug, clap::Args)]
pub(super) struct InstallArgs {
    /// Replace a file that homing did not write
    #[arg(long)]
    force: bool,
    /// Print a document with the file and the commands that start the service
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    command: WakeCommand,
}

/// How to remove the service.
#[derive(Debug, clap::Args)]
pub(super) struct UninstallArgs {
    /// Remove the file even if homing did not write it
    #[arg(long)]
    force: bool,
    /// Print a document with the file and the commands that stop the service
    #[arg(long)]
    json: bool,
}

/// Log file of an installed monitor, for service managers that do not keep a journal.
const LOG: &str = "monitor.log";

/// Variables with paths of files and directories. The service gets those that are set, and those of harnesses: otherwise a
/// harness that the monitor starts would not find its sessions.
const PATH_VARIABLES: [&str; 4] = ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The installed service as JSON.
#[derive(Serialize)]
struct InstallDocument<'a> {
    path: &'a Path,
    replaced: bool,
    /// Whether the service starts at the next login without the commands.
    registered: bool,
    start: Vec<String>,
    hint: Option<&'static str>,
}

/// The removed service as JSON.
#[derive(Serialize)]
struct UninstallDocument<'a> {
    path: &'a Path,
    removed: bool,
    stop: Vec<String>,
}

/// Writes the service file, registers it where that is possible, and prints the commands that start the service.
fn install(args: &InstallArgs) -> Result<ExitCode, Failure> {
    let manager = Manager::of_this_system();
    // Report an unusable home or configuration here; a service with one would fail to start.
    let homing = Homing::open()?;
    if let Some(refusal) = homing.config_refusal() {
        return Err(homing::Error::ConfigRefused(refusal.clone()).into());
    }
    let (service, path) = (service(&homing, &args.command)?, path_for(manager)?);
    let staged = stage(&path, &manager.text(&service), args.force)?;
    // First register: if that is refused, nothing has changed.
    let registered = manager.register(staged.temporary(), args.force)?;
    let written = staged.commit()?;
    let start = manager.start_commands(&path);
    if args.json {
        let replaced = written == Written::Replaced;
        let registered = registered.is_some();
        print_json(&InstallDocument { path: &path, replaced, registered, start, hint: manager.hint() })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut stdout = io::stdout().lock();
    let verb = match written {
        Written::New => "wrote",
        Written::Replaced => "replaced",
    };
    writeln!(stdout, "{verb} {}", path.display())?;
    if let Some(task) = registered {
        writeln!(stdout, "registered the scheduled task {task}, which starts at the next logon")?;
    }
    writeln!(stdout, "{}: {}", manager.start_label(), start.join(" && "))?;
    if let Some(hint) = manager.hint() {
        writeln!(stdout, "hint: {hint}")?;
    }
    if args.command.words().is_none() && homing.config().sink_names().is_empty() {
        note_with_hint(
            "no sink is configured, so the service delivers nothing",
            "run homing monitor install --command PROGRAM, or add a sink to config.toml",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the service file and what was registered, and prints the commands that stop the service.
fn uninstall(args: &UninstallArgs) -> Result<ExitCode, Failure> {
    let manager = Manager::of_this_system();
    let path = path_for(manager)?;
    let has_file = check_owned(&path, args.force)?;
    let unregistered = manager.unregister(has_file, args.force)?;
    let removed = remove(&path, args.force)? == Removed::Removed;
    if removed
        && let Some(link) = manager.enabling_link(&path)
        && link.is_symlink()
    {
        // The link is dangling now. If it stays, the service manager only logs a warning.
        let _ = std::fs::remove_file(link);
    }
    let stop = manager.stop_commands();
    if args.json {
        let removed = removed || unregistered.is_some();
        print_json(&UninstallDocument { path: &path, removed, stop })?;
        return Ok(ExitCode::SUCCESS);
    }
    if !removed && unregistered.is_none() {
        say(&format!("nothing to remove: {} does not exist", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let mut stdout = io::stdout().lock();
    if removed {
        writeln!(stdout, "removed {}", path.display())?;
    }
    if let Some(task) = unregistered {
        writeln!(stdout, "stopped and removed the scheduled task {task}")?;
    }
    if removed && !stop.is_empty() {
        writeln!(stdout, "stop it if it is still running: {}", stop.join(" && "))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn path_for(manager: Manager) -> Result<PathBuf, Failure> {
    manager.path().ok_or_else(|| Failure::Refused {
        code: "service",
        message: "cannot determine the home directory for the service file".to_owned(),
        hint: None,
    })
}

/// The service: runs this program with the environment of this process.
fn service(homing: &Homing, command: &WakeCommand) -> Result<Service, Failure> {
    let program = this_program().map_err(Failure::Write)?;
    let mut arguments = vec!["monitor".to_owned()];
    if let Some(words) = command.words() {
        arguments.push("--command".to_owned());
        let (program, rest) = words.split_first().expect("the parser requires at least one word");
        // A service does not run in the current directory, so make the path absolute.
        let program =
            if is_one_name(program) { program.clone() } else { utf8(std::path::absolute(program)?.into())? };
        arguments.push(program);
        arguments.extend_from_slice(rest);
    }
    let mut environment = Vec::new();
    let mut add = |name: &str, value: OsString| -> Result<(), Failure> {
        environment.push((name.to_owned(), utf8(value)?));
        Ok(())
    };
    if let Some(path) = set("PATH") {
        add("PATH", path)?;
    }
    let of_harnesses = homing::harness::directory_variables();
    let of_harnesses = of_harnesses.into_iter().filter(|name| !PATH_VARIABLES.contains(name));
    for name in PATH_VARIABLES.into_iter().chain(of_harnesses) {
        if let Some(path) = set(name) {
            // A service does not run in the current directory.
            add(name, std::path::absolute(path)?.into_os_string())?;
        }
    }
    if set(HOME_VARIABLE).is_some() {
        add(HOME_VARIABLE, std::path::absolute(homing.home_path())?.into_os_string())?;
    }
    if let Some(config) = set(CONFIG_VARIABLE) {
        add(CONFIG_VARIABLE, std::path::absolute(config)?.into_os_string())?;
    }
    let log = utf8(homing.home_path().join(LOG).into_os_string())?;
    let user = account().map(utf8).transpose()?;
    Ok(Service { program: utf8(program.into_os_string())?, arguments, environment, log, user })
}

/// The name of the user's account on Windows, which sets these variables.
fn account() -> Option<OsString> {
    let (mut account, name) = (set("USERDOMAIN")?, set("USERNAME")?);
    account.push("\\");
    account.push(name);
    Some(account)
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The path of this program. Prefers a `PATH` entry that resolves to it, because updates replace that entry.
fn this_program() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let resolved = program.canonicalize()?;
    let in_path = find_programs("homing").into_iter();
    let mut same = in_path.filter(|found| found.canonicalize().is_ok_and(|found| found == resolved));
    Ok(same.next().unwrap_or(program))
}

/// Service files contain only UTF-8.
fn utf8(value: OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| Failure::Refused {
        code: "service",
        message: format!(
            "{} is not valid UTF-8, so a service file cannot contain it",
            value.to_string_lossy()
        ),
        hint: None,
    })
}
