//! What can be typed, and what it means in the library's types. Everything is checked here; nothing is done.

mod examples;
mod hook;
mod launch;
mod look;
#[cfg(feature = "mcp")]
mod mcp;
mod monitor;
mod optional_wait;
mod settle;
mod setup;
mod top;
mod unparsed;
mod upkeep;
mod values;

pub(crate) use hook::HookArgs;
pub(crate) use launch::RunArgs;
pub(crate) use look::{FollowUpsArgs, ListArgs, OutputArgs, ShowArgs};
#[cfg(feature = "mcp")]
pub(crate) use mcp::McpArgs;
pub(crate) use monitor::{InstallArgs, MonitorArgs, ServiceCommand, UninstallArgs, WakeCommand};
pub(crate) use settle::{KillArgs, ResultArgs, SettleArgs, WaitArgs};
pub(crate) use setup::SetupArgs;
pub(crate) use unparsed::Unparsed;
pub(crate) use upkeep::{CompletionsArgs, DoctorArgs, ManArgs, PruneArgs, RecoverArgs};
pub(crate) use values::Limit;

use std::ffi::OsString;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

const ABOUT: &str = "Background jobs for AI agents. Every job comes home.";

/// Everything that was typed.
#[derive(Debug, Parser)]
#[command(name = "homing", version, about = ABOUT, help_template = top::template(), after_help = examples::ROUND_TRIP)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One verb of the command line.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Launches a command in the background and prints the id of its job
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Lists jobs, newest first
    #[command(after_help = examples::LIST)]
    List(ListArgs),
    /// Shows everything about one job
    #[command(after_help = examples::SHOW)]
    Show(ShowArgs),
    /// Prints what a job has written, or follows it
    #[command(after_help = examples::OUTPUT)]
    Output(OutputArgs),
    /// Waits until jobs are over, and exits as the job did
    #[command(after_help = examples::WAIT)]
    Wait(WaitArgs),
    /// Prints what the agent reads about a job
    #[command(after_help = examples::RESULT)]
    Result(ResultArgs),
    /// Ends jobs with every process they started
    #[command(after_help = examples::KILL)]
    Kill(KillArgs),
    /// Lists the jobs whose session still has to be told
    #[command(after_help = examples::FOLLOW_UPS)]
    FollowUps(FollowUpsArgs),
    /// Notes that the session was told of jobs
    #[command(after_help = examples::ACK)]
    Ack(SettleArgs),
    /// Makes follow-ups pending again
    #[command(after_help = examples::RETRY)]
    Retry(SettleArgs),
    /// Gives follow-ups up: nobody is told
    #[command(after_help = examples::DROP)]
    Drop(SettleArgs),
    /// Wakes the sessions whose jobs are over, until it is stopped
    #[command(after_help = examples::MONITOR)]
    Monitor(MonitorArgs),
    /// Offers jobs to agents over the Model Context Protocol
    #[cfg(feature = "mcp")]
    #[command(after_help = examples::MCP)]
    Mcp(McpArgs),
    /// Removes old jobs that nobody has to be told of
    #[command(after_help = examples::PRUNE)]
    Prune(PruneArgs),
    /// Ends what is left of jobs whose supervisor died, and records their end
    #[command(after_help = examples::RECOVER)]
    Recover(RecoverArgs),
    /// Checks that everything homing rests on is as it should be
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Makes an agent harness know homing, or shows what that would change
    #[command(after_help = examples::SETUP)]
    Setup(SetupArgs),
    /// Tells a harness that calls what its session is to be told
    #[command(hide = true)]
    Hook(HookArgs),
    /// Prints the completions for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Prints the manual page, or writes all of them to a directory
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

impl Command {
    /// Whether the answer, an error too, is to be JSON.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Command::Run(args) => args.json,
            Command::List(args) => args.json,
            Command::Show(args) => args.json,
            Command::Output(args) => args.json,
            Command::Wait(args) => args.json,
            Command::Result(args) => args.json,
            Command::Kill(args) => args.json,
            Command::FollowUps(args) => args.json,
            Command::Ack(args) | Command::Retry(args) | Command::Drop(args) => args.json,
            Command::Monitor(args) => args.wants_json(),
            Command::Prune(args) => args.json,
            Command::Recover(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Setup(args) => args.json,
            Command::Hook(_) | Command::Completions(_) | Command::Man(_) => false,
            #[cfg(feature = "mcp")]
            Command::Mcp(_) => false,
        }
    }
}

/// Everything that can be typed, for completions and manual pages.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

/// Reads the words of a command line, the program's name first.
///
/// # Errors
/// Where they make no sense, and where they ask for help.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Command, Unparsed> {
    let words = optional_wait::join(words);
    if let Some(run) = parse_run_alone(&words) {
        return Ok(Command::Run(run));
    }
    // It is called at every end of a turn.
    if is_verb(&words, "hook")
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

/// Reads a `run` without defining all the other verbs first, which takes as long as launching a process. What it cannot
/// read goes the long way, which knows how to say what is wrong.
fn parse_run_alone(words: &[OsString]) -> Option<RunArgs> {
    if !is_verb(words, "run") {
        return None;
    }
    let matches = run_alone().try_get_matches_from(&words[1..]).ok()?;
    RunArgs::from_arg_matches(&matches).ok()
}

fn is_verb(words: &[OsString], verb: &str) -> bool {
    words.get(1).is_some_and(|word| word == verb)
}

fn run_alone() -> clap::Command {
    RunArgs::augment_args(clap::Command::new("run"))
}
