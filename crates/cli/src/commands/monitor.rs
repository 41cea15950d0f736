//! `homing monitor`: wakes the sessions whose jobs are over.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use homing::{Config, Homing, MonitorEnd, MonitorHandle, MonitorOptions, MonitorUntil, user_config_path};

use super::monitor_service::ServiceCommand;
use crate::exit::{Failure, note_with_hint, say};
use crate::interrupt::stop_on_signals;
use crate::render::MonitorLog;
use crate::service::Supervision;
use crate::values::WakeCommand;

/// What the help of the command shows last.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing monitor                                  wakes through the sinks that are configured
  homing monitor --command ./wake                 every session through one program, without a file
  homing monitor --command my-agent --resume {session}
  homing monitor --once                           tells what is due, and ends
  homing monitor install                          keeps it running, as a service of yours

The program gets the wake as JSON on standard input. Exit status 0: the agent was told; 75: it is busy; \
69: there is no such session; anything else: failed, tried again later. {session}, {wake} and {job} in \
its words stand for the session, the wake's id and the first job's id.

One monitor is active per home; a second waits and takes over. SIGTERM and Ctrl-C stop it: it takes up \
no more wakes and waits up to 30 s for programs at work; a second signal waits for none. What was not \
told stays due. Exit status: 0 when it was stopped.

Sinks and routes: https://github.com/homing-jobs/homing/blob/main/docs/waking.md";

/// How the monitor works.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct MonitorArgs {
    #[command(subcommand)]
    service: Option<ServiceCommand>,
    /// Tells what is due now, and ends
    #[arg(long)]
    once: bool,
    /// Prints every event as a document, one a line, on standard output; without this, a log on standard error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    command: WakeCommand,
}

impl MonitorArgs {
    /// Whether the command answers in JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.service.as_ref().map_or(self.json, ServiceCommand::wants_json)
    }
}

/// Runs a monitor, or makes it a service.
pub(crate) fn monitor(args: &MonitorArgs) -> Result<ExitCode, Failure> {
    match &args.service {
        Some(command) => command.run(),
        None => run(args),
    }
}

fn run(args: &MonitorArgs) -> Result<ExitCode, Failure> {
    let homing = Arc::new(Homing::open()?);
    let until = if args.once { MonitorUntil::NothingDue } else { MonitorUntil::Stopped };
    let mut options = MonitorOptions::new().until(until);
    match args.command.words() {
        Some(command) => options = options.command(command)?,
        None => warn_no_sinks(homing.config()),
    }
    let supervision = Supervision::from_environment();
    // Without a watchdog to feed, an idle monitor never wakes up.
    if let Some(every) = supervision.heartbeat() {
        options = options.heartbeat(every);
    }
    let log = MonitorLog::new(args.json);
    let handle: Arc<OnceLock<MonitorHandle>> = Arc::default();
    let to_stop = Arc::clone(&handle);
    let monitor = homing.monitor(options.observe(move |event| {
        supervision.tell(event);
        // Whoever read the events has had enough.
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
        say(&format!("another monitor is active{who}: it tells what is due"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Says so where nobody can be woken: jobs end, and stay pending.
fn warn_no_sinks(config: &Config) {
    let file = user_config_path().map_or_else(|| "config.toml".to_owned(), |path| path.display().to_string());
    if config.sink_names().is_empty() {
        note_with_hint(
            "no sink is configured: nobody will be woken, and what is due stays pending",
            &format!("homing monitor --command PROGRAM, or agents = [\"claude-code\"] in {file}"),
        );
    } else if config.routes.is_empty() && config.agents.is_empty() {
        note_with_hint(
            "no route leads to a sink: only jobs that name one (homing run --sink) will be told of",
            &format!("a route is a table [[routes]] with session and sink in {file}"),
        );
    }
}
