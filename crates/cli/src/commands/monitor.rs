//! `homing monitor`: delivers results to their sessions.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use homing::{Config, Homing, MonitorEnd, MonitorHandle, MonitorOptions, MonitorUntil, user_config_path};

use homing_supervisor::platform::background;

use super::monitor_service::ServiceCommand;
use crate::exit::Failure;
use crate::interrupt::stop_on_signals;
use crate::render::{MonitorLog, note_with_hint, say};
use crate::service::Supervision;
use crate::values::WakeCommand;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing monitor                                  uses the configured sinks
  homing monitor --command ./wake                 delivers everything through one program
  homing monitor --command my-agent --resume {session}
  homing monitor --once                           delivers what is due, then exits
  homing monitor install                          runs it as a user service

The program receives the wake as JSON on standard input. Its exit status means: 0 delivered; 75 the agent is \
busy; 69 no such session; other values: failed, homing retries later. In its arguments, {session}, {wake} \
and {job} are replaced by the session, the wake id and the id of the first job.

One monitor is active per home; a second monitor waits and takes over when the first exits. On SIGTERM or \
Ctrl-C it starts no new wakes and waits up to 30 s for running programs; a second signal stops it \
immediately. Undelivered results stay pending. Exit status: 0 when stopped by a signal.

Sinks and routes: https://github.com/homing-jobs/homing/blob/main/docs/waking.md";

/// How the monitor runs.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct MonitorArgs {
    #[command(subcommand)]
    service: Option<ServiceCommand>,
    /// Deliver what is due now, then exit
    #[arg(long)]
    once: bool,
    /// Print every event as a JSON document, one per line, on standard output; without this, log to standard error
    #[arg(long)]
    json: bool,
    /// Append the log to this file, and leave the console: for service managers without a journal
    #[arg(long, value_name = "FILE", hide = true)]
    log_file: Option<PathBuf>,
    #[command(flatten)]
    command: WakeCommand,
}

impl MonitorArgs {
    /// Whether the command prints JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.service.as_ref().map_or(self.json, ServiceCommand::wants_json)
    }
}

/// Runs a monitor, or installs it as a service.
pub(crate) fn monitor(args: &MonitorArgs) -> Result<ExitCode, Failure> {
    match &args.service {
        Some(command) => command.run(),
        None => run(args),
    }
}

fn run(args: &MonitorArgs) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.log_file {
        log_to_file(path)?;
    }
    let homing = Homing::open()?;
    let until = if args.once { MonitorUntil::NothingDue } else { MonitorUntil::Stopped };
    let mut options = MonitorOptions::new().until(until);
    match args.command.words() {
        Some(command) => options = options.command(command)?,
        None => warn_no_sinks(homing.config()),
    }
    let supervision = Supervision::from_environment();
    // Without a watchdog, an idle monitor never wakes up.
    if let Some(every) = supervision.heartbeat() {
        options = options.heartbeat(every);
    }
    let log = MonitorLog::new(args.json);
    let handle: Arc<OnceLock<MonitorHandle>> = Arc::default();
    let to_stop = Arc::clone(&handle);
    let monitor = homing.monitor(options.observe(move |event| {
        supervision.notify_event(event);
        // The reader of the events has closed the pipe.
        if log.print(event).is_err()
            && let Some(handle) = to_stop.get()
        {
            handle.stop();
        }
    }))?;
    let _ = handle.set(monitor.handle());
    stop_on_signals(monitor.handle());
    if monitor.run()? == MonitorEnd::LeftToAnother {
        let pid = homing.active_monitor()?.filter(|pid| *pid > 0);
        let who = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        say(&format!("another monitor is active{who} and delivers the results"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Warns when the configuration has no sink or no route, so that results stay pending.
fn warn_no_sinks(config: &Config) {
    let file = user_config_path().map_or_else(|| "config.toml".to_owned(), |path| path.display().to_string());
    if config.sink_names().is_empty() {
        note_with_hint(
            "no sink is configured, so results stay pending",
            &format!("run homing monitor --command PROGRAM, or set agents = [\"claude-code\"] in {file}"),
        );
    } else if config.routes.is_empty() && config.agents.is_empty() {
        note_with_hint(
            "no route is configured, so only results of jobs launched with --sink are delivered",
            &format!("add a table [[routes]] with session and sink to {file}"),
        );
    }
}

/// Appends everything that this process prints from now on to a file.
pub(super) fn log_to_file(path: &Path) -> Result<(), Failure> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|file| background::log_to(&file)).map_err(|error| Failure::Refused {
        code: "log_file",
        message: format!("cannot write the log {}: {error}", path.display()),
        hint: None,
    })
}
