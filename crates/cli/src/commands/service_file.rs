//! Installs and removes a service of this program: the monitor or the server.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use homing::{CONFIG_VARIABLE, HOME_VARIABLE, Homing};
use homing_supervisor::platform::paths::find_programs;
use serde::Serialize;

use crate::exit::Failure;
use crate::render::{print_json, say};
use crate::service::{Manager, Removed, Role, Service, Written, check_owned, remove, stage};

/// Variables with paths of files and directories. The service gets those that are set, and those of harnesses: otherwise a
/// harness that the service starts would not find its sessions.
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

/// How to install or remove a service.
#[derive(Debug, clap::Args)]
pub(super) struct Handling {
    /// Replace or remove a file that homing did not write
    #[arg(long)]
    force: bool,
    /// Print a document with the file and the commands that start or stop the service
    #[arg(long)]
    pub(super) json: bool,
}

/// Writes the service file, registers it where that is possible, and prints the commands that start the service, which runs
/// this program with the arguments. Returns the home that it will use.
pub(super) fn install(role: Role, arguments: Vec<String>, args: &Handling) -> Result<Homing, Failure> {
    let manager = Manager::of_this_system(role);
    // Report an unusable home or configuration here; a service with one would fail to start.
    let homing = Homing::open()?;
    if let Some(refusal) = homing.config_refusal() {
        return Err(homing::Error::ConfigRefused(refusal.clone()).into());
    }
    let (service, path) = (service(role, &homing, arguments)?, path_for(manager)?);
    let staged = stage(&path, &manager.text(&service), args.force)?;
    // First register: if that is refused, nothing has changed.
    let registered = manager.register(staged.temporary(), args.force)?;
    let written = staged.commit()?;
    let start = manager.start_commands(&path);
    if args.json {
        let replaced = written == Written::Replaced;
        let registered = registered.is_some();
        print_json(&InstallDocument { path: &path, replaced, registered, start, hint: manager.hint() })?;
        return Ok(homing);
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
    Ok(homing)
}

/// Removes the service file and what was registered, and prints the commands that stop the service.
pub(super) fn uninstall(role: Role, args: &Handling) -> Result<(), Failure> {
    let manager = Manager::of_this_system(role);
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
        return Ok(());
    }
    if !removed && unregistered.is_none() {
        say(&format!("nothing to remove: {} does not exist", path.display()));
        return Ok(());
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
    Ok(())
}

fn path_for(manager: Manager) -> Result<PathBuf, Failure> {
    manager.path().ok_or_else(|| Failure::Refused {
        code: "service",
        message: "cannot determine the home directory for the service file".to_owned(),
        hint: None,
    })
}

/// The service: runs this program with the environment of this process.
fn service(role: Role, homing: &Homing, arguments: Vec<String>) -> Result<Service, Failure> {
    let program = this_program().map_err(Failure::Write)?;
    let arguments = std::iter::once(role.command().to_owned()).chain(arguments).collect();
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
    let log = utf8(homing.home_path().join(format!("{}.log", role.command())).into_os_string())?;
    let user = account().map(utf8).transpose()?;
    Ok(Service { role, program: utf8(program.into_os_string())?, arguments, environment, log, user })
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
pub(super) fn utf8(value: OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| Failure::Refused {
        code: "service",
        message: format!(
            "{} is not valid UTF-8, so a service file cannot contain it",
            value.to_string_lossy()
        ),
        hint: None,
    })
}
