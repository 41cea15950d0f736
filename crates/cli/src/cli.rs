//! The top-level parser: reads the words of a command line into a [`Command`], and runs it.

mod help_template;
mod misplaced;
mod optional_wait;
mod plain_run;
mod unparsed;

pub(crate) use unparsed::Unparsed;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;

use crate::commands::follow_up_change::{self, FollowUpChangeArgs};
#[cfg(feature = "mcp")]
use crate::commands::mcp;
use crate::commands::run::{self, RunArgs};
#[cfg(feature = "top")]
use crate::commands::top;
use crate::commands::{
    completions, doctor, events, executors, follow_ups, hook, kill, list, listen, man, monitor, output,
    prune, recover, remove, rerun, result, setup, setup_host, show, wait,
};
#[cfg(feature = "serve")]
use crate::commands::{serve, token};
use crate::exit::Failure;

const ABOUT: &str = "Background jobs for AI agents, with results that reliably reach the agent.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "homing", version, about = ABOUT)]
#[command(help_template = help_template::help_template(), after_help = help_template::QUICK_START)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command in the background and print the job id
    #[command(after_help = run::EXAMPLES)]
    Run(RunArgs),
    /// Launch the command of an earlier job again
    #[command(after_help = rerun::EXAMPLES)]
    Rerun(rerun::RerunArgs),
    /// List jobs, newest first
    #[command(visible_aliases = ["ls", "ps"], after_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Show the jobs on the terminal, up to date, with keys that act on them
    #[cfg(feature = "top")]
    #[command(after_help = top::EXAMPLES)]
    Top(top::TopArgs),
    /// Show the details of one job
    #[command(after_help = show::EXAMPLES)]
    Show(show::ShowArgs),
    /// Print or follow the output of a job
    #[command(visible_alias = "logs", after_help = output::EXAMPLES)]
    Output(output::OutputArgs),
    /// Print what happened to jobs, results and monitors
    #[command(after_help = events::EXAMPLES)]
    Events(events::EventsArgs),
    /// Wait for jobs to finish and exit with the status of the job
    #[command(after_help = wait::EXAMPLES)]
    Wait(wait::WaitArgs),
    /// Wait for results of the session, print them and exit
    #[command(after_help = listen::EXAMPLES)]
    Listen(listen::ListenArgs),
    /// Print the result of a job as the agent receives it
    #[command(after_help = result::EXAMPLES)]
    Result(result::ResultArgs),
    /// Kill jobs and all processes they started
    #[command(after_help = kill::EXAMPLES)]
    Kill(kill::KillArgs),
    /// List jobs whose results are not acknowledged yet
    #[command(after_help = follow_ups::EXAMPLES)]
    FollowUps(follow_ups::FollowUpsArgs),
    /// Acknowledge results, so that they are not delivered again
    #[command(after_help = follow_up_change::ACK_EXAMPLES)]
    Ack(FollowUpChangeArgs),
    /// Deliver results again
    #[command(after_help = follow_up_change::RETRY_EXAMPLES)]
    Retry(FollowUpChangeArgs),
    /// Stop the delivery of results
    #[command(after_help = follow_up_change::DROP_EXAMPLES)]
    Drop(FollowUpChangeArgs),
    /// Deliver results to their sessions until stopped
    #[command(after_help = monitor::EXAMPLES)]
    Monitor(monitor::MonitorArgs),
    /// Serve jobs to agents over the Model Context Protocol
    #[cfg(feature = "mcp")]
    #[command(after_help = mcp::EXAMPLES)]
    Mcp(mcp::McpArgs),
    /// Serve jobs over HTTP to hosts and to a web page
    #[cfg(feature = "serve")]
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::ServeArgs),
    /// Create, list and revoke access tokens of the HTTP server
    #[cfg(feature = "serve")]
    #[command(after_help = token::EXAMPLES)]
    Token(token::TokenArgs),
    /// Delete single jobs that have finished and are acknowledged
    #[command(visible_alias = "rm", after_help = remove::EXAMPLES)]
    Remove(remove::RemoveArgs),
    /// Remove old jobs whose results are acknowledged
    #[command(after_help = prune::EXAMPLES)]
    Prune(prune::PruneArgs),
    /// Clean up jobs whose supervisor died and record their outcome
    #[command(after_help = recover::EXAMPLES)]
    Recover(recover::RecoverArgs),
    /// Check the installation and diagnose problems
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::DoctorArgs),
    /// Configure an agent harness for homing, or preview the changes
    #[command(after_help = setup::EXAMPLES)]
    Setup(setup::SetupArgs),
    /// List the other machines that run jobs
    #[command(after_help = executors::EXAMPLES)]
    Executors(executors::ExecutorsArgs),
    /// Copy this program to another machine that shall run jobs
    #[command(after_help = setup_host::EXAMPLES)]
    SetupHost(setup_host::SetupHostArgs),
    /// Answer a hook of an agent harness
    #[command(hide = true)]
    Hook(hook::HookArgs),
    /// Print the completion script for a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write all pages to a directory
    #[command(after_help = man::EXAMPLES)]
    Man(man::ManArgs),
}

impl Command {
    /// Whether the command prints JSON, for errors too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Command::Run(args) => args.json,
            Command::Rerun(args) => args.json,
            Command::Remove(args) => args.json,
            Command::List(args) => args.json,
            Command::Show(args) => args.json,
            Command::Output(args) => args.json,
            Command::Events(args) => args.json,
            Command::Wait(args) => args.json,
            Command::Listen(args) => args.json,
            Command::Result(args) => args.json,
            Command::Kill(args) => args.json,
            Command::FollowUps(args) => args.json,
            Command::Ack(args) | Command::Retry(args) | Command::Drop(args) => args.json,
            Command::Monitor(args) => args.wants_json(),
            Command::Prune(args) => args.json,
            Command::Recover(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Setup(args) => args.json,
            Command::Executors(args) => args.json,
            Command::Hook(_) | Command::Completions(_) | Command::Man(_) | Command::SetupHost(_) => false,
            #[cfg(feature = "mcp")]
            Command::Mcp(_) => false,
            #[cfg(feature = "serve")]
            Command::Serve(args) => args.wants_json(),
            #[cfg(feature = "serve")]
            Command::Token(args) => args.wants_json(),
            #[cfg(feature = "top")]
            Command::Top(_) => false,
        }
    }

    /// Runs the command, and returns the status to exit with.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Command::Run(args) => run::run(args),
            Command::Rerun(args) => rerun::rerun(args),
            Command::Remove(args) => remove::remove(&args),
            Command::List(args) => list::list(&args),
            #[cfg(feature = "top")]
            Command::Top(args) => top::top(&args),
            Command::Show(args) => show::show(&args),
            Command::Output(args) => output::output(&args),
            Command::Events(args) => events::events(&args),
            Command::Wait(args) => wait::wait(&args),
            Command::Listen(args) => listen::listen(&args),
            Command::Result(args) => result::result(&args),
            Command::Kill(args) => kill::kill(&args),
            Command::FollowUps(args) => follow_ups::follow_ups(&args),
            Command::Ack(args) => follow_up_change::ack(&args),
            Command::Retry(args) => follow_up_change::retry(&args),
            Command::Drop(args) => follow_up_change::drop(&args),
            Command::Monitor(args) => monitor::monitor(&args),
            #[cfg(feature = "mcp")]
            Command::Mcp(args) => mcp::mcp(args),
            #[cfg(feature = "serve")]
            Command::Serve(args) => serve::serve(args),
            #[cfg(feature = "serve")]
            Command::Token(args) => token::token(args),
            Command::Prune(args) => prune::prune(&args),
            Command::Recover(args) => recover::recover(&args),
            Command::Doctor(args) => doctor::doctor(&args),
            Command::Setup(args) => setup::setup(&args),
            Command::Executors(args) => executors::executors(&args),
            Command::SetupHost(args) => setup_host::setup_host(&args),
            Command::Hook(args) => Ok(hook::hook(&args)),
            Command::Completions(args) => completions::completions(&args),
            Command::Man(args) => man::man(&args, definition()),
        }
    }
}

/// The definition of the command line, which help, completions and manual pages are generated from.
fn definition() -> clap::Command {
    Cli::command()
}

/// Answers a shell that completes a command line, and ends this process. Does nothing if
/// [`COMPLETE_VARIABLE`](completions::COMPLETE_VARIABLE) is not set, which costs one look at the environment.
pub(crate) fn complete_if_asked() {
    if std::env::var_os(completions::COMPLETE_VARIABLE).is_some() {
        CompleteEnv::with_factory(definition).var(completions::COMPLETE_VARIABLE).complete();
    }
}

/// Parses the arguments of the process, the program name first.
///
/// # Errors
/// When the arguments are invalid, and when they ask for help or the version.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Command, Unparsed> {
    if let Some(run) = plain_run::parse(&words) {
        return Ok(Command::Run(run));
    }
    let words = optional_wait::join(words);
    if let Some(run) = parse_run_only(&words) {
        return match misplaced::find(&words, run.command_words()) {
            Some(failure) => Err(Unparsed::rejected(failure, &words)),
            None => Ok(Command::Run(run)),
        };
    }
    // Harnesses call hooks at the end of every turn, so the full definition is not built for them.
    if is_command(&words, "hook")
        && let Some(hook) = hook::parse(&words[2..])
    {
        return Ok(Command::Hook(hook));
    }
    definition()
        .try_get_matches_from_mut(&words)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map(|cli| cli.command)
        .map_err(|error| Unparsed::new(error, &words))
}

/// Whether the command that these words name launches a job.
pub(crate) fn launches_a_job(mut words: impl Iterator<Item = OsString>) -> bool {
    words.nth(1).is_some_and(|word| word == "run" || word == "rerun")
}

/// Parses `run` without building the definitions of the other commands, which takes as long as launching a process.
/// Returns `None` when parsing fails; the full parser then produces the error.
fn parse_run_only(words: &[OsString]) -> Option<RunArgs> {
    if !is_command(words, "run") {
        return None;
    }
    let matches = run_definition().try_get_matches_from(&words[1..]).ok()?;
    RunArgs::from_arg_matches(&matches).ok()
}

fn is_command(words: &[OsString], name: &str) -> bool {
    words.get(1).is_some_and(|word| word == name)
}

fn run_definition() -> clap::Command {
    RunArgs::augment_args(clap::Command::new("run"))
}
